"""Puts a report together from what the stages of a run measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bertcompress.artifacts.artifact import Manifest
from bertcompress.artifacts.artifact_files import manifest_of
from bertcompress.bench.metric_rows import metric_rows
from bertcompress.bench.paired import Scored, score_against
from bertcompress.bench.results import Parts
from bertcompress.bench.rounds import EntrantRound, RoundResult
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.workload import BEST_OFFLINE, BEST_SINGLE_STREAM, Workload
from bertcompress.examples import Example
from bertcompress.machine.environment import Environment, library_versions
from bertcompress.passes.prune.removed import explanation_of
from bertcompress.profiling.count_operations import operations_of
from bertcompress.report.lineage import history_of, size_of
from bertcompress.report.noise import noise_of
from bertcompress.report.schema import (
    FORMAT_VERSION,
    Accuracy,
    DatasetFacts,
    Measurement,
    Report,
    VariantResult,
)
from bertcompress.stats.bootstrap import example_interval
from bertcompress.stats.intervals import Interval, wilson


def assemble(
    variants: Sequence[Variant],
    subject: Subject,
    settings: BenchSettings,
    parts: Parts,
    *,
    command: str,
) -> Report:
    """Returns the report."""
    environment = with_shares(parts.environment, parts.rounds)
    last = [result.entrants[-1] for result in parts.rounds]
    return Report(
        format_version=FORMAT_VERSION,
        tool_version=tool_version(),
        command=command,
        task=subject.task.name,
        metric=subject.task.primary_metric,
        baseline=variants[0].name,
        dataset=dataset_facts(subject),
        settings=settings,
        environment=environment,
        results=tuple(
            _result(position, variant, subject, settings, parts)
            for position, variant in enumerate(variants)
        ),
        again=_measurement(0, parts.workloads, last) if settings.again else None,
        tokenization_s=parts.tokenization_s,
        notes=tuple(noise_of(environment)),
        roofs=parts.roofs,
        skipped=parts.skipped,
    )


def _result(
    position: int, variant: Variant, subject: Subject, settings: BenchSettings, parts: Parts
) -> VariantResult:
    mine = [result.entrants[position] for result in parts.rounds]
    manifest = manifest_of(variant.folder)
    scored = parts.scored[position] if parts.scored else None
    tuning = parts.tunings[position] if parts.tunings else None
    paired = None
    if scored is not None and position > 0:
        paired = score_against(parts.scored[0], scored, subject.dataset.examples)
    return VariantResult(
        name=variant.name,
        runtime=mine[0].runtime,
        kind=_kind(variant, manifest),
        size=size_of(variant.folder, manifest, compressed=settings.compressed),
        accuracy=accuracy_of(scored, subject.dataset.examples) if scored else None,
        paired=paired,
        measurements=(
            *(_measurement(i, parts.workloads, mine) for i in range(len(parts.workloads[0]))),
            *(_best_measurements(tuning, mine, parts.workloads) if tuning else ()),
        ),
        load_s=tuple(entrant.load_s for entrant in mine),
        first_answer_s=tuple(entrant.first_answer_s for entrant in mine),
        memory=tuple(entrant.memory for entrant in mine),
        history=history_of(variant.folder, manifest),
        notes=tuple(_notes(mine, settings)),
        operations=None if variant.is_peer else operations_of(variant.folder),
        tuning=tuning,
        best_peak_bytes=_best_peak_bytes(mine),
        server=parts.servers[position] if parts.servers else None,
        explanation=explanation_of(manifest.history) if manifest else None,
        precision_map=parts.precision_maps[position] if parts.precision_maps else None,
    )


def _kind(variant: Variant, manifest: Manifest | None) -> str:
    if variant.is_peer:
        return "peer"
    return manifest.kind if manifest else "checkpoint"


def _notes(entrants: Sequence[EntrantRound], settings: BenchSettings) -> list[str]:
    unsteady = sum(not entrant.steady for entrant in entrants)
    if not unsteady:
        return []
    return [
        f"its latency was not steady after {settings.warm_maximum_s:g} s of warm-up in {unsteady} "
        f"of {len(entrants)} rounds"
    ]


def _measurement(
    position: int, workloads: Sequence[Sequence[Workload]], entrants: Sequence[EntrantRound]
) -> Measurement:
    same = [of_round[position] for of_round in workloads]
    return Measurement(
        name=same[0].name,
        scenario=same[0].scenario,
        batch_size=same[0].batch_size,
        sequence_length=same[0].sequence_length,
        rounds=tuple(entrant.seconds[position] for entrant in entrants),
        sentences=tuple(workload.sentences for workload in same),
        tokens=tuple(workload.tokens for workload in same),
        padding_fraction=round(same[0].padding_fraction, 6),
        steady=tuple(entrant.steady for entrant in entrants) if position == 0 else (),
        positions=tuple(workload.positions for workload in same),
        energy_j=_energy(position, entrants),
    )


def _best_measurements(
    tuning: Tuning, entrants: Sequence[EntrantRound], workloads: Sequence[Sequence[Workload]]
) -> Iterator[Measurement]:
    """Yields single sentences and all at once, where they were measured.

    Args:
        tuning: The variant's best settings.
        entrants: What it measured, one a round.
        workloads: The workloads of each round, single sentences first.
    """
    times = [entrant.tuned for entrant in entrants if entrant.tuned is not None]
    if times and all(best.single_s for best in times):
        drawn = [of_round[0] for of_round in workloads]
        yield Measurement(
            name=BEST_SINGLE_STREAM,
            scenario="best-single-stream",
            batch_size=1,
            sequence_length=None,
            rounds=tuple(best.single_s for best in times),
            sentences=tuple(workload.sentences for workload in drawn),
            tokens=tuple(workload.tokens for workload in drawn),
            padding_fraction=0.0,
            positions=tuple(workload.positions for workload in drawn),
        )
    if not times or not all(best.offline_s for best in times):
        return
    yield Measurement(
        name=BEST_OFFLINE,
        scenario="best-offline",
        batch_size=tuning.settings.batch_size,
        sequence_length=None,
        rounds=tuple(best.offline_s for best in times),
        sentences=tuple((best.sentences,) * len(best.offline_s) for best in times),
        tokens=tuple((best.tokens,) * len(best.offline_s) for best in times),
        padding_fraction=times[0].padding_fraction,
    )


def _best_peak_bytes(entrants: Sequence[EntrantRound]) -> int | None:
    """Returns the most memory that a process took at its best settings, None without them."""
    peaks = [entrant.tuned.peak_bytes for entrant in entrants if entrant.tuned is not None]
    return max(peaks, default=None)


def _energy(position: int, entrants: Sequence[EntrantRound]) -> tuple[float | None, ...]:
    energy = tuple(e.energy_j[position] for e in entrants if len(e.energy_j) > position)
    return energy if any(joules is not None for joules in energy) else ()


def accuracy_of(scored: Scored, examples: Sequence[Example]) -> Accuracy:
    """Returns a score with its interval, in the form that reports keep."""
    score = scored.score
    return Accuracy(
        metric=score.primary,
        value=score.value,
        interval=_accuracy_interval(scored, examples),
        values=dict(score.values),
        per_class=dict(score.per_class),
        count=score.count,
        correct=tuple(float(value) for value in score.correct),
    )


def _accuracy_interval(scored: Scored, examples: Sequence[Example]) -> Interval | None:
    """Wilson's for right and wrong, the bootstrap over examples for all else."""
    score = scored.score
    rows = metric_rows(score, scored.answers.predictions, examples)
    if rows is None:
        return None
    if rows.binary:
        return wilson(sum(score.correct), score.count)
    return example_interval(rows.rows, rows.statistic)


def dataset_facts(subject: Subject) -> DatasetFacts:
    """Returns what reports say about the data."""
    lengths = np.asarray([feature.length for feature in subject.features])
    source = subject.dataset.source
    return DatasetFacts(
        source=Path(source).name if Path(source).exists() else source,
        split=subject.dataset.split,
        count=len(subject.dataset),
        fingerprint=subject.dataset.fingerprint,
        length_median=int(np.median(lengths)),
        length_p90=int(np.quantile(lengths, 0.9)),
        length_maximum=int(lengths.max()),
        notes=subject.dataset.notes,
    )


def with_shares(environment: Environment, rounds: Sequence[RoundResult]) -> Environment:
    """Returns the environment with what the rounds saw of it, on average."""
    busy = [r.busy_fraction for r in rounds if r.busy_fraction is not None]
    steal = [r.steal_fraction for r in rounds if r.steal_fraction is not None]
    throttled = [r.throttled_fraction for r in rounds if r.throttled_fraction is not None]
    return replace(
        environment,
        busy_fraction=_mean(busy),
        steal_fraction=_mean(steal),
        throttled_fraction=_mean(throttled),
    )


def _mean(fractions: Sequence[float]) -> float | None:
    return round(float(np.mean(fractions)), 4) if fractions else None


def tool_version() -> str:
    """Returns the version of bertcompress that is installed."""
    return library_versions("bertcompress").get("bertcompress", "unknown")
