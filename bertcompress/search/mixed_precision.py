"""Which products stay in float: what INT8 costs the answers against the time that it saves.

The products that read one tensor (query, key and value) stay or go together: the tensor is
quantized for all of them or for none. The cost of a group is the mean of two measurements, each
scaled so that all groups together make the divergence of the whole graph in INT8:

- the divergence with this group *alone* in INT8, which sees nothing of what others add to it;
- what the divergence falls by with this group alone *spared*, which sees everything and is noisy.

Its price is the time that its products take in float less what they take in INT8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.products import weight_products
from bertcompress.numerics.knapsack import cheapest_within
from bertcompress.progress import Progress

_AT_ONCE = 4
"""Groups whose graphs are in memory together: the float graph answers once for all of them."""

Divergences = Callable[[Mapping[str, OnnxModel]], dict[str, float]]


@dataclass(frozen=True)
class ProductCost:
    """One row of the table of products that cost most.

    Attributes:
        module: The group's modules.
        part_of_the_divergence: In words.
        int8_saves_us: Microseconds that INT8 saves.
    """

    module: str
    part_of_the_divergence: str
    int8_saves_us: float


@dataclass(frozen=True)
class Costs:
    """What each group of products costs in INT8, and saves.

    Attributes:
        groups: The modules that go together.
        divergences: What each costs the answers, 0 or more.
        seconds: The time that INT8 saves each, 0 or more.
    """

    groups: tuple[tuple[str, ...], ...]
    divergences: tuple[float, ...]
    seconds: tuple[float, ...]

    def worst(self, count: int) -> tuple[ProductCost, ...]:
        """Returns the groups that cost most, as a table's rows."""
        total = sum(self.divergences) or 1.0
        order = sorted(range(len(self.groups)), key=lambda at: -self.divergences[at])
        return tuple(
            ProductCost(
                _name(self.groups[at]),
                f"{100 * self.divergences[at] / total:.0f}%",
                round(1e6 * self.seconds[at], 1),
            )
            for at in order[:count]
        )


def spared(costs: Costs, share: float) -> tuple[str, ...]:
    """Returns the modules to keep in float, for a share of the time that INT8 saves.

    Where INT8 saves no time at all, that would be all of them, so that nothing were quantized: then
    it is none.

    Args:
        costs: Of the groups.
        share: 0..1.
    """
    budget = share * sum(costs.seconds)
    levels = cheapest_within(
        [np.array([cost, 0.0]) for cost in costs.divergences],
        [np.array([0.0, seconds]) for seconds in costs.seconds],
        budget,
    )
    assert levels is not None  # all groups in INT8 need nothing of the budget
    each = zip(costs.groups, levels, costs.divergences, strict=True)
    chosen = [group for group, level, cost in each if level and cost]
    if len(chosen) == len(costs.groups):
        return ()
    return tuple(module for group in chosen for module in group)


def measured_costs(
    model: OnnxModel,
    make: Callable[[tuple[str, ...]], OnnxModel],
    *,
    keep_float: tuple[str, ...],
    divergences: Divergences,
    product_seconds: Callable[[OnnxModel], dict[str, float]],
    progress: Progress,
) -> Costs:
    """Measures every group of products.

    Args:
        model: The float graph.
        make: Quantizes it, but for the modules given.
        keep_float: Patterns of modules that stay in float anyway.
        divergences: Of graphs from the float graph.
        product_seconds: Of the products of a graph.
        progress: Progress callback, of the groups done.
    """
    groups = _groups(model, keep_float)
    every = {module for group in groups for module in group}
    whole = make(())
    total = divergences({"whole": whole})["whole"]
    moved: dict[str, float] = {}
    if len(groups) > 1:  # else nothing is left with the only group spared
        for start in range(0, len(groups), _AT_ONCE):
            progress("quantize: what products cost", start, len(groups))
            tried = {}
            for at in range(start, min(start + _AT_ONCE, len(groups))):
                tried[f"without {at}"] = make(groups[at])
                tried[f"alone {at}"] = make(tuple(sorted(every - set(groups[at]))))
            moved |= divergences(tried)
    progress("quantize: what products cost", len(groups), len(groups))
    alone = [moved.get(f"alone {at}", 0.0) for at in range(len(groups))]
    falls = [max(0.0, total - moved.get(f"without {at}", 0.0)) for at in range(len(groups))]
    before, after = product_seconds(model), product_seconds(whole)
    return Costs(
        groups,
        _combined(alone, falls, total),
        tuple(
            max(0.0, sum(before.get(name, 0.0) - after.get(name, 0.0) for name in group))
            for group in groups
        ),
    )


def _combined(alone: list[float], falls: list[float], total: float) -> tuple[float, ...]:
    parts = [np.asarray(costs) / max(sum(costs), 1e-30) for costs in (alone, falls)]
    return tuple(float(cost) for cost in total * (parts[0] + parts[1]) / 2)


def _groups(model: OnnxModel, keep_float: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    readers: dict[str, list[str]] = {}
    for product in weight_products(model.graph):
        if not any(fnmatchcase(product.module, pattern) for pattern in keep_float):
            readers.setdefault(product.tensor, []).append(product.module)
    return tuple(tuple(group) for group in readers.values())


def _name(group: tuple[str, ...]) -> str:
    """Names query, key and value by what holds them."""
    if len(group) == 1:
        return group[0]
    return f"{group[0].rsplit('.', 1)[0]} ({', '.join(name.rsplit('.', 1)[1] for name in group)})"
