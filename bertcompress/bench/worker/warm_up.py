"""Warm-up: run until the latency no longer falls.

The first runs are slow for reasons that a service meets once: memory arenas grow, kernels are
chosen for a new shape, the clock rises, the weights come into the cache. Each distinct shape is
run once; then one feed is repeated, and the process is steady when the medians of the last three
windows of runs differ by less than `TOLERANCE`. A machine that never settles is not waited for:
the result says so, and the report repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from bertcompress.bench.workload import Feed

TOLERANCE = 0.05
WINDOWS = 3
WINDOW_RUNS = 10
DISTINCT_SHAPES = 64


@dataclass(frozen=True)
class WarmUp:
    """What the warm-up did: runs, seconds, and whether the latency was steady at its end."""

    runs: int
    seconds: float
    steady: bool


def warm_up(
    run: Callable[[Feed], float], feeds: Sequence[Feed], *, minimum_s: float, maximum_s: float
) -> WarmUp:
    """Runs feeds until the latency is steady.

    Args:
        run: Runs one feed and returns its seconds.
        feeds: The workload's feeds; the one of median size is repeated.
        minimum_s: Go on at least so long.
        maximum_s: Stop after so long, steady or not.
    """
    by_shape = {feed["input_ids"].shape: feed for feed in feeds}
    shapes = sorted(by_shape, key=lambda shape: shape[0] * shape[1])
    runs, seconds = 0, 0.0
    for shape in shapes[-DISTINCT_SHAPES:]:
        if seconds >= maximum_s:
            break
        seconds += run(by_shape[shape])
        runs += 1
    repeated = by_shape[shapes[len(shapes) // 2]]
    medians: list[float] = []
    while seconds < maximum_s:
        window = [run(repeated) for _ in range(WINDOW_RUNS)]
        runs, seconds = runs + len(window), seconds + sum(window)
        medians.append(median(window))
        if seconds >= minimum_s and is_steady(medians):
            return WarmUp(runs, seconds, steady=True)
    return WarmUp(runs, seconds, is_steady(medians))


def is_steady(medians: Sequence[float]) -> bool:
    """Tells whether the last windows' medians lie within the tolerance of each other."""
    last = medians[-WINDOWS:]
    return len(last) == WINDOWS and max(last) <= min(last) * (1.0 + TOLERANCE)
