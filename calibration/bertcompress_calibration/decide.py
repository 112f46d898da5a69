"""Applies a method of `range_methods`: from statistics to a table, at once or again by another."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.errors import CalibrationError
from bertcompress_calibration.range_methods import Method, method_named
from bertcompress_calibration.statistics import Statistics


def decided(tensor: str, seen: Statistics, method: Method) -> TensorRange:
    """Returns the range of a tensor, with the statistics that it was decided from."""
    low, high = method(seen)
    kept = {**vars(seen), "channel_mean": seen.channel_mean.astype(np.float32)}
    return TensorRange(tensor=tensor, low=low, high=high, **kept)


def decided_again(table: CalibrationTable, *, method: str) -> CalibrationTable:
    """Returns the table with its ranges decided by another method; no data and no model is run.

    What it said about stability is left out: that was measured with the method before.

    Args:
        table: Measured with any method: all keep the same statistics.
        method: A name in `METHODS`.

    Raises:
        UsageError: There is no such method.
        CalibrationError: The table does not hold the statistics, as one of format 1.
    """
    choose = method_named(method)
    again: dict[str, TensorRange] = {}
    for readers in table.share_groups.values():
        one = table.ranges[readers[0]]
        again.update(dict.fromkeys(readers, decided(one.tensor, statistics_in(one), choose)))
    ranges = {module: again[module] for module in table.ranges}
    return replace(table, ranges=ranges, method=method, stability=None)


def statistics_in(one: TensorRange) -> Statistics:
    """Returns the statistics that a range of a table was decided from.

    Raises:
        CalibrationError: The table does not hold them.
    """
    found = {each.name: getattr(one, each.name) for each in fields(Statistics)}
    if any(value is None for value in found.values()) or not one.histogram.size:
        raise CalibrationError(
            f"the table holds no full statistics of {one.tensor}, from which a range could be "
            "decided again; it was made by an older version: calibrate again"
        )
    return Statistics(**found)
