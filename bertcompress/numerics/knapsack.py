"""The cheapest choice of one level a group within a budget: the multiple-choice knapsack.

Dynamic programming over a budget cut in buckets: the cost of each group's level is added to the
best cost of all groups before it. Times are rounded *up* to whole buckets, so what is chosen keeps
the budget always, and misses the best choice by less than one bucket a group.

Source: Kellerer, Pferschy and Pisinger, "Knapsack Problems", 2004, chapter 11; used for pruning
levels by Frantar and Alistarh 2022 (SPDY), arXiv:2201.13096.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import UsageError

BUCKETS = 10_000
Levels = Sequence[NDArray[np.float64]]


def cheapest_within(
    costs: Levels, times: Levels, budget: float, *, buckets: int = BUCKETS
) -> tuple[int, ...] | None:
    """Chooses one level for each group so that the costs' sum is least.

    Args:
        costs: For each group the cost of each level, any finite number.
        times: For each group the time (or size) of each level, 0 or more.
        budget: What the times may sum up to.
        buckets: Parts that the budget is cut into.

    Returns:
        Each group's level, or None where even the quickest levels exceed the budget.

    Raises:
        UsageError: If costs and times differ in shape, a group is empty, or a number is not finite.
    """
    if len(costs) != len(times) or any(
        len(cost) != len(time) or not len(cost) for cost, time in zip(costs, times, strict=True)
    ):
        raise UsageError("costs and times must have the same groups and levels, none empty")
    if not all(np.isfinite(row).all() for row in (*costs, *times)) or buckets < 1:
        raise UsageError("costs and times must be finite and buckets 1 or more")
    if budget < 0 or any((time < 0).any() for time in times):
        raise UsageError("times and the budget must be 0 or more")
    if budget == 0:
        buckets = 0
    unit = budget / buckets if buckets else 1.0
    best = np.zeros(buckets + 1)
    choices: list[NDArray[np.intp]] = []
    for cost, time in zip(costs, times, strict=True):
        sizes = np.ceil(np.asarray(time) / unit - 1e-9).astype(np.int64)
        table = np.full((len(cost), buckets + 1), np.inf)
        for level, size in enumerate(sizes):
            if size <= buckets:
                table[level, size:] = best[: buckets + 1 - size] + cost[level]
        choices.append(table.argmin(axis=0))
        best = table.min(axis=0)
    if not np.isfinite(best[buckets]):
        return None
    left, chosen = buckets, []
    for group in range(len(costs) - 1, -1, -1):
        level = int(choices[group][left])
        chosen.append(level)
        left -= int(np.ceil(times[group][level] / unit - 1e-9))
    return tuple(reversed(chosen))
