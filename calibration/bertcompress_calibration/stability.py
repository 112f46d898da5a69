"""Stability: how far the ranges move when other samples are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable, Stability
from bertcompress.errors import UsageError
from bertcompress_calibration.calibrators import Calibrate


def calibrate_over_seeds(
    measure: Calibrate, model: OnnxModel, *, seeds: int = 5
) -> CalibrationTable:
    """Calibrates with as many draws of samples and says in the table how far its ranges move.

    Args:
        measure: What is done for each seed: its own, and those that follow.
        model: The float graph.
        seeds: How many, at least 2.

    Returns:
        The table of the first seed.

    Raises:
        UsageError: There are too few seeds, or so few examples that each draws all of them.
    """
    if seeds < 2:
        raise UsageError(f"seeds must be 2 or more to compare their ranges, got {seeds}; type 5")
    if measure.samples >= len(measure.examples):
        raise UsageError(
            f"all {len(measure.examples)} examples are drawn whatever the seed, so that "
            f"{seeds} seeds can't be compared; give more data or ask for fewer samples"
        )
    numbers = range(measure.seed, measure.seed + seeds)
    tables = [replace(measure, seed=seed)(model) for seed in numbers]
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
