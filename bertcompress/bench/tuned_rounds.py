"""Each variant at its own best settings, measured at the end of a round.

The processes that were compared at one setting are arranged anew: one runtime with the variant's
best number of threads for single sentences, then its streams for all sentences at once. They take
turns as before, and the memory that the streams take is read last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.messages import (
    ArrangeStreams,
    ReadMemory,
    RunUntilSteady,
    SweepWorkload,
    TimeEach,
)
from bertcompress.bench.workload import Workload, part_of, save_workload
from bertcompress.inference.best_settings import RuntimeSettings

SWEEPS = 3
_SETTLE_RUNS = 2


@dataclass(frozen=True)
class TunedSetup:
    """A variant's best settings and, in its own batches, all sentences of the offline scenario."""

    settings: RuntimeSettings
    offline: Workload | None


@dataclass(frozen=True)
class TunedTimes:
    """What one process measured at its best settings.

    Attributes:
        single_s: Seconds of each single sentence; empty where the best number of threads is the
            one that all were compared with.
        offline_s: Seconds of each sweep over all sentences; empty without an offline scenario.
        peak_bytes: The most memory the process ever took, its streams included.
        sentences: Of a sweep.
        tokens: Of a sweep, padding not counted.
        padding_fraction: The share of a sweep's positions that was padding.
    """

    single_s: tuple[float, ...]
    offline_s: tuple[float, ...]
    peak_bytes: int
    sentences: int
    tokens: int
    padding_fraction: float


@dataclass
class _Turn:
    process: WorkerProcess
    setup: TunedSetup
    single_path: Path
    offline_path: Path
    single_s: list[float] = field(default_factory=list)
    offline_s: list[float] = field(default_factory=list)


def measure_tuned(
    line: Sequence[tuple[WorkerProcess, TunedSetup, Path]],
    single: Workload,
    *,
    settings: BenchSettings,
    threads: int,
    scratch: Path,
    step: Callable[[str], None],
) -> list[TunedTimes]:
    """Measures all processes at their best settings, in turns.

    Args:
        line: Loaded processes, in the round's order; each with its single sentences on disk.
        single: The round's single sentences.
        settings: The number of blocks.
        threads: Those that all were compared with.
        scratch: A folder for the batches.
        step: Progress callback: what was just finished.
    """
    turns = [
        _Turn(process, setup, path, scratch / f"tuned-{process.pid}.npz")
        for process, setup, path in line
    ]
    _single_sentences(
        [turn for turn in turns if turn.setup.settings.latency_threads != threads],
        single,
        settings,
    )
    _all_at_once([turn for turn in turns if turn.setup.offline is not None])
    for turn in turns:
        step(f"{turn.process.name}: its best settings")
    return [_times(turn) for turn in turns]


def _single_sentences(turns: Sequence[_Turn], workload: Workload, settings: BenchSettings) -> None:
    for turn in turns:
        best = turn.setup.settings
        turn.process.ask(ArrangeStreams(1, best.latency_threads))
        turn.process.ask(
            RunUntilSteady(
                turn.single_path, settings.warm_minimum_s / 2, settings.warm_maximum_s / 2
            )
        )
    blocks = min(settings.blocks, len(workload.feeds))
    for block in range(blocks):
        part = part_of(workload, block, blocks)
        for turn in turns:
            runs = turn.process.ask(TimeEach(turn.single_path, part.start, part.stop, _SETTLE_RUNS))
            turn.single_s += [round(second, 8) for second in runs.seconds]


def _all_at_once(turns: Sequence[_Turn]) -> None:
    for turn in turns:
        assert turn.setup.offline is not None
        save_workload(turn.setup.offline, turn.offline_path)
        best = turn.setup.settings
        turn.process.ask(ArrangeStreams(best.streams, best.threads))
        turn.process.ask(SweepWorkload(turn.offline_path))  # meets every shape
    for number in range(SWEEPS):
        first = number % len(turns) if turns else 0
        for turn in [*turns[first:], *turns[:first]]:
            seconds = turn.process.ask(SweepWorkload(turn.offline_path)).seconds
            turn.offline_s.append(round(seconds, 8))
    for turn in turns:
        turn.offline_path.unlink()


def _times(turn: _Turn) -> TunedTimes:
    whole = turn.setup.offline
    return TunedTimes(
        single_s=tuple(turn.single_s),
        offline_s=tuple(turn.offline_s),
        peak_bytes=turn.process.ask(ReadMemory()).peak_bytes,
        sentences=sum(whole.sentences) if whole else 0,
        tokens=sum(whole.tokens) if whole else 0,
        padding_fraction=round(whole.padding_fraction, 6) if whole else 0.0,
    )
