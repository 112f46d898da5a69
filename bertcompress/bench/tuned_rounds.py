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
from bertcompress.bench.workload import Workload, part_of, save_workload
from bertcompress.inference.best_settings import RuntimeSettings

PASSES = 3
_SETTLE_RUNS = 2


@dataclass(frozen=True)
class Best:
    """A variant's best settings and, in its own batches, all sentences of the offline scenario."""

    settings: RuntimeSettings
    offline: Workload | None


@dataclass(frozen=True)
class BestTimes:
    """What one process measured at its best settings.

    Attributes:
        single_s: Seconds of each single sentence; empty where the best number of threads is the
            one that all were compared with.
        offline_s: Seconds of each pass over all sentences; empty without an offline scenario.
        peak_bytes: The most memory the process ever took, its streams included.
        sentences: Of a pass.
        tokens: Of a pass, padding not counted.
        padding_fraction: The share of a pass's positions that was padding.
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
    best: Best
    offline_path: Path
    single_s: list[float] = field(default_factory=list)
    offline_s: list[float] = field(default_factory=list)


def measure_best(
    line: Sequence[tuple[WorkerProcess, Best]],
    single: Workload,
    single_path: Path,
    *,
    settings: BenchSettings,
    threads: int,
    scratch: Path,
    step: Callable[[str], None],
) -> list[BestTimes]:
    """Measures all processes at their best settings, in turns.

    Args:
        line: Loaded processes, in the round's order.
        single: The round's single sentences.
        single_path: Where they are on disk.
        settings: The number of blocks.
        threads: Those that all were compared with.
        scratch: A folder for the batches.
        step: Is told what was just finished.
    """
    turns = [_Turn(process, best, scratch / f"best-{process.pid}.npz") for process, best in line]
    _single_sentences(
        [turn for turn in turns if turn.best.settings.latency_threads != threads],
        single,
        single_path,
        settings,
    )
    _all_at_once([turn for turn in turns if turn.best.offline is not None])
    for turn in turns:
        step(f"{turn.process.name}: its best settings")
    return [_times(turn) for turn in turns]


def _single_sentences(
    turns: Sequence[_Turn], workload: Workload, path: Path, settings: BenchSettings
) -> None:
    for turn in turns:
        best = turn.best.settings
        turn.process.ask("arrange", streams=1, threads=best.latency_threads)
        turn.process.ask(
            "warm",
            workload=str(path),
            minimum_s=settings.warm_minimum_s / 2,
            maximum_s=settings.warm_maximum_s / 2,
        )
    blocks = min(settings.blocks, len(workload.feeds))
    for block in range(blocks):
        part = part_of(workload, block, blocks)
        for turn in turns:
            seconds = turn.process.seconds(
                "time",
                workload=str(path),
                start=part.start,
                stop=part.stop,
                settle=_SETTLE_RUNS,
            )
            turn.single_s += [round(second, 8) for second in seconds]


def _all_at_once(turns: Sequence[_Turn]) -> None:
    for turn in turns:
        assert turn.best.offline is not None
        save_workload(turn.best.offline, turn.offline_path)
        best = turn.best.settings
        turn.process.ask("arrange", streams=best.streams, threads=best.threads)
        turn.process.ask("pass", workload=str(turn.offline_path))  # meets every shape
    for number in range(PASSES):
        first = number % len(turns) if turns else 0
        for turn in [*turns[first:], *turns[:first]]:
            seconds = turn.process.seconds("pass", workload=str(turn.offline_path))
            turn.offline_s += [round(second, 8) for second in seconds]
    for turn in turns:
        turn.offline_path.unlink()


def _times(turn: _Turn) -> BestTimes:
    whole = turn.best.offline
    return BestTimes(
        single_s=tuple(turn.single_s),
        offline_s=tuple(turn.offline_s),
        peak_bytes=_peak(turn.process),
        sentences=sum(whole.sentences) if whole else 0,
        tokens=sum(whole.tokens) if whole else 0,
        padding_fraction=round(whole.padding_fraction, 6) if whole else 0.0,
    )


def _peak(process: WorkerProcess) -> int:
    peak = process.ask("memory")["peak_bytes"]
    assert isinstance(peak, int)
    return peak
