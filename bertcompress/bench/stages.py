"""The stages of a run that treat each variant by itself: tuning before the rounds, serving after.

What they find is kept in the state folder, so an interrupted run does not tune or serve again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

from bertcompress.bench.request_rate import serve_variant
from bertcompress.bench.rounds import RoundResult
from bertcompress.bench.server import BOUND_FACTOR, ServerResult
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.state import StateFolder
from bertcompress.bench.tune import tune_variant
from bertcompress.bench.tuned_rounds import Best
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.workload import all_at_once, sample_features
from bertcompress.bert.families import longest_text
from bertcompress.codec import from_plain, to_plain
from bertcompress.progress import Progress

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Where a run works: its folders, its threads, and who is told."""

    scratch: Path
    state: StateFolder
    threads: int
    progress: Progress


def tune_all(
    variants: Sequence[Variant], subject: Subject, settings: BenchSettings, place: Place
) -> tuple[Tuning, ...]:
    """Finds the best settings of each variant and saves them with it."""

    def tune(position: int) -> Tuning:
        variant = variants[position]
        return tune_variant(
            variant,
            subject,
            settings,
            threads=place.threads,
            scratch=place.scratch,
            told=lambda done, total: place.progress(f"tuning: {variant.name}", done, total),
        )

    return tuple(
        kept_part(place, f"tuning-{position}", Tuning, partial(tune, position))
        for position in range(len(variants))
    )


def best_of(tuning: Tuning, subject: Subject, settings: BenchSettings) -> Best:
    """Returns a variant's best settings with the batches they make of the offline sentences."""
    if not settings.offline_sentences:
        return Best(tuning.settings, None)
    features = sample_features(subject.features, settings.offline_sentences, seed=settings.seed)
    workload = all_at_once(
        features,
        batch_size=tuning.settings.batch_size,
        sort_by_length=tuning.settings.sort_by_length,
        pad_token_id=subject.pad_token_id,
    )
    return Best(tuning.settings, workload)


def serve_all(
    variants: Sequence[Variant],
    subject: Subject,
    settings: BenchSettings,
    tunings: Sequence[Tuning],
    rounds: Sequence[RoundResult],
    place: Place,
) -> tuple[ServerResult, ...]:
    """Finds the highest rate of requests that each variant answers in time."""
    bound_s = settings.server_bound_s or BOUND_FACTOR * median(
        second for one in rounds for second in one.entrants[0].seconds[0]
    )

    def serve(position: int) -> ServerResult:
        place.progress(f"requests: {variants[position].name}", position, len(variants))
        return serve_variant(
            variants[position],
            subject,
            settings,
            tunings[position] if tunings else None,
            bound_s=bound_s,
            threads=place.threads,
            scratch=place.scratch,
        )

    return tuple(
        kept_part(place, f"server-{position}", ServerResult, partial(serve, position))
        for position in range(len(variants))
    )


def without_long_passages(
    variants: Sequence[Variant], settings: BenchSettings
) -> tuple[BenchSettings, tuple[str, ...]]:
    """Leaves passages out that a variant is too short for; returns the sentence that says so."""
    wanted = settings.passage_length
    for variant in variants:
        longest = _longest_text(variant.folder)
        if wanted is not None and longest is not None and longest < wanted:
            sentence = (
                f"passages of {wanted} tokens were left out: {variant.name} reads at most {longest}"
            )
            return replace(settings, passage_length=None), (sentence,)
    return settings, ()


def _longest_text(folder: Path) -> int | None:
    """Returns the tokens that a model reads at most, None where its folder does not say."""
    path = folder / "config.json"
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    known = isinstance(found.get("max_position_embeddings"), int)
    return longest_text(found) if known else None


def kept_part(place: Place, part: str, kind: type[T], make: Callable[[], T]) -> T:
    """Returns a part of the state folder, made and kept if it is not there."""
    plain = place.state.read(part)
    if plain is None:
        plain = to_plain(make())
        place.state.write(part, plain)
    return from_plain(kind, plain)
