"""Measuring several processes in turns, so that each turn compares neighbours in time.

A shared machine changes from minute to minute by more than two good runtimes differ; between two
turns of a second it mostly does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.load import spread
from bertcompress.bench.worker.messages import MeasureRate, TimeEach
from bertcompress.tasks.base import Feature

Measure = Callable[[], float]


def in_turns(
    measures: Mapping[str, Measure],
    turns: int,
    *,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, list[float]]:
    """Returns what each measured in every turn; every second turn goes backwards.

    Args:
        measures: By name; each measures once.
        turns: How often.
        told: Progress callback: the turns done, and of how many.
    """
    values: dict[str, list[float]] = {name: [] for name in measures}
    for turn in range(turns):
        told(turn, turns)
        for name in list(measures)[:: 1 if turn % 2 == 0 else -1]:
            values[name].append(measures[name]())
    told(turns, turns)
    return values


def typical(features: Sequence[Feature], count: int) -> list[Feature]:
    """Returns the given number of features, short and long ones in their shares."""
    return [features[i] for i in spread([feature.length for feature in features])[:count]]


def median_seconds(process: WorkerProcess, workload: Path, *, settle: int, count: int) -> Measure:
    """Returns what times the first `count` inputs one by one: the median seconds.

    Args:
        process: Has its runtime arranged.
        workload: The file.
        settle: Runs before, that do not count.
        count: How many.
    """
    command = TimeEach(workload, start=0, stop=count, settle=settle)
    return lambda: median(process.ask(command).seconds)


def sentence_rate(process: WorkerProcess, workload: Path, *, slice_s: float) -> Measure:
    """Returns what runs batches for a slice of time: sentences a second."""
    return lambda: process.ask(MeasureRate(workload, slice_s)).sentences_per_s
