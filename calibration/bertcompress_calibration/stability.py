"""Stability: how far the ranges move when other samples are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable, Stability
from bertcompress.errors import UsageError
from bertcompress.passes.context import Context
from bertcompress.passes.ranges import Ranges
from bertcompress_calibration.calibrate_ranges import calibrate_ranges


def calibrate_over_seeds(
    model: OnnxModel,
    ranges: Ranges,
    context: Context,
    *,
    seed: int = 0,
    seeds: int = 5,
    attention: bool = False,
) -> CalibrationTable:
    """Calibrates with as many draws of samples and says in the table how far its ranges move.

    Args:
        model: The float graph.
        ranges: How each draw's ranges are found.
        context: Has the examples.
        seed: The first draw's; those that follow draw the others.
        seeds: How many, at least 2.
        attention: Whether query, key and value are watched too.

    Returns:
        The table of the first seed.

    Raises:
        UsageError: There are too few seeds, or so few examples that each draws all of them.
    """
    if seeds < 2:
        raise UsageError(f"seeds must be 2 or more to compare their ranges, got {seeds}; type 5")
    count = len(context.examples)
    if ranges.samples >= count:
        raise UsageError(
            f"all {count} examples are drawn whatever the seed, so that "
            f"{seeds} seeds can't be compared; give more data or ask for fewer samples"
        )
    tables = [
        calibrate_ranges(model, ranges, context, seed=number, attention=attention)
        for number in range(seed, seed + seeds)
    ]
    return replace(tables[0], stability=stability_of(tables))


def stability_of(tables: Sequence[CalibrationTable]) -> Stability:
    """Returns how far the ranges of one model's tables are apart.

    Of each tensor, over the tables: ``max(max low - min low, max high - min high)`` divided by
    ``max high - min low``; 0 for a tensor of one value.
    """
    changes = {}
    for modules in tables[0].share_groups.values():
        found = [table.range_of(modules[0]) for table in tables]
        lows, highs = (np.asarray([getattr(one, end) for one in found]) for end in ("low", "high"))
        moved = max(float(np.ptp(lows)), float(np.ptp(highs)))
        span = float(highs.max() - lows.min())
        changes[modules[0]] = moved / span if span else 0.0
    return Stability(tuple(table.seed for table in tables), changes)
