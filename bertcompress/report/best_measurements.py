"""The measurements at a variant's own best settings, in the form that reports keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bertcompress.bench.rounds import EntrantRound
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.workload import BEST_OFFLINE, BEST_SINGLE_STREAM, Workload
from bertcompress.report.schema import Measurement


def best_measurements(
    tuning: Tuning, entrants: Sequence[EntrantRound], workloads: Sequence[Sequence[Workload]]
) -> Iterator[Measurement]:
    """Yields single sentences and all at once, where they were measured.

    Args:
        tuning: The variant's best settings.
        entrants: What it measured, one a round.
        workloads: The workloads of each round, single sentences first.
    """
    times = [entrant.best for entrant in entrants if entrant.best is not None]
    if times and all(one.single_s for one in times):
        drawn = [of_round[0] for of_round in workloads]
        yield Measurement(
            name=BEST_SINGLE_STREAM,
            scenario="best-single-stream",
            batch_size=1,
            sequence_length=None,
            rounds=tuple(one.single_s for one in times),
            sentences=tuple(workload.sentences for workload in drawn),
            tokens=tuple(workload.tokens for workload in drawn),
            padding_fraction=0.0,
            positions=tuple(workload.positions for workload in drawn),
        )
    if not times or not all(one.offline_s for one in times):
        return
    yield Measurement(
        name=BEST_OFFLINE,
        scenario="best-offline",
        batch_size=tuning.settings.batch_size,
        sequence_length=None,
        rounds=tuple(one.offline_s for one in times),
        sentences=tuple((one.sentences,) * len(one.offline_s) for one in times),
        tokens=tuple((one.tokens,) * len(one.offline_s) for one in times),
        padding_fraction=times[0].padding_fraction,
    )


def best_peak_bytes(entrants: Sequence[EntrantRound]) -> int | None:
    """Returns the most memory that a process took at its best settings, None without them."""
    peaks = [entrant.best.peak_bytes for entrant in entrants if entrant.best is not None]
    return max(peaks, default=None)
