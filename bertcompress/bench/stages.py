"""The stages around the rounds: the machine's limits, each variant's tuning and its requests.

What tuning and requests find is kept in the state folder, so an interrupted run does
not tune or serve again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from bertcompress.bench.request_rate import BOUND_FACTOR, ServerResult, serve_variant
from bertcompress.bench.roofs import Roofs
from bertcompress.bench.rounds import RoundResult
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.state import Workplace
from bertcompress.bench.tune import tune_variant
from bertcompress.bench.tuned_rounds import TunedSetup
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.messages import MeasureRoofs
from bertcompress.bench.workload import all_at_once, sample_features
from bertcompress.bert.families import longest_text
from bertcompress.bert.loading.config_file import read_fields
from bertcompress.errors import RunError

LIMITS_NAME = "the machine's limits"
"""What errors call the process that measures them."""


def measure_roofs(*, scratch: Path, threads: int, seconds: float) -> Roofs:
    """Measures the limits in a process of its own.

    Args:
        scratch: A folder for that process.
        threads: All threads of the run.
        seconds: About how long to measure, start and stop of the process not included.

    Returns:
        The limits; where the process failed, none and the reason.
    """
    try:
        with WorkerProcess(LIMITS_NAME, scratch=scratch, threads=threads) as process:
            return process.ask(MeasureRoofs(threads, seconds))
    except RunError as error:
        return Roofs(threads, unavailable=(str(error),))


def tune_all(
    variants: Sequence[Variant], subject: Subject, settings: BenchSettings, place: Workplace
) -> tuple[Tuning, ...]:
    """Finds the best settings of each variant and saves them with it."""

    def tune(position: int) -> Tuning:
        variant = variants[position]
        return tune_variant(
            variant,
            variant.reads or subject,
            settings,
            threads=place.threads,
            scratch=place.scratch,
            told=lambda done, total: place.progress(f"tuning: {variant.name}", done, total),
        )

    return tuple(
        place.state.kept(f"tuning-{position}", Tuning, partial(tune, position))
        for position in range(len(variants))
    )


def tuned_setup(tuning: Tuning, subject: Subject, settings: BenchSettings) -> TunedSetup:
    """Returns a variant's best settings with the batches they make of the offline sentences."""
    if not settings.offline_sentences:
        return TunedSetup(tuning.settings, None)
    features = sample_features(subject.features, settings.offline_sentences, seed=settings.seed)
    workload = all_at_once(
        features,
        batch_size=tuning.settings.batch_size,
        sort_by_length=tuning.settings.sort_by_length,
        pad_token_id=subject.pad_token_id,
    )
    return TunedSetup(tuning.settings, workload)


def serve_all(
    variants: Sequence[Variant],
    subject: Subject,
    settings: BenchSettings,
    tunings: Sequence[Tuning],
    rounds: Sequence[RoundResult],
    place: Workplace,
) -> tuple[ServerResult, ...]:
    """Finds the highest rate of requests that each variant answers in time."""
    bound_s = settings.server_bound_s or BOUND_FACTOR * median(
        second for result in rounds for second in result.entrants[0].seconds[0]
    )

    def serve(position: int) -> ServerResult:
        place.progress(f"requests: {variants[position].name}", position, len(variants))
        return serve_variant(
            variants[position],
            variants[position].reads or subject,
            settings,
            tunings[position] if tunings else None,
            bound_s=bound_s,
            threads=place.threads,
            scratch=place.scratch,
        )

    return tuple(
        place.state.kept(f"server-{position}", ServerResult, partial(serve, position))
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
    config = read_fields(folder)
    known = isinstance(config.get("max_position_embeddings"), int)
    return longest_text(config) if known else None
