"""What passes find ranges with: measured on a context's examples, or read from a saved table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.graph.fingerprint import weights_fingerprint
from bertcompress.inference.deployed import task_for
from bertcompress.passes.context import Context
from bertcompress.passes.ranges import Ranges
from bertcompress_calibration.collect import calibrate
from bertcompress_calibration.range_methods import method_named

if TYPE_CHECKING:
    from bertcompress.artifacts.artifact import OnnxModel


def calibrate_ranges(
    model: OnnxModel, ranges: Ranges, context: Context, *, seed: int, attention: bool = False
) -> CalibrationTable:
    """Finds the ranges of a float graph; a `bertcompress.passes.context.Calibrates`.

    Args:
        model: The graph, in float32; it is not changed.
        ranges: How.
        context: Has the examples: training data.
        seed: Draws the examples.
        attention: Whether query, key and value are watched too, for TensorRT's quantized attention.

    Raises:
        UsageError: There is no such method, or the examples are of a split that accuracy is
            measured on.
        CalibrationError: There are no examples, no range can be found, or the table can't be read
            or was made for other weights.
        DataError: The examples do not fit the task.
    """
    check_ranges(ranges)
    if ranges.table is not None:
        ranges.identity()  # says so where the file can't be read
        table = CalibrationTable.load(ranges.table)
        table.check_fits(weights_fingerprint(model.graph))
        return table
    return calibrate(
        model,
        context.examples,
        task=task_for(model),
        method=ranges.method,
        samples=ranges.samples,
        batch_size=ranges.batch_size,
        max_length=ranges.max_length,
        seed=seed,
        split=context.split,
        attention=attention,
        progress=context.progress,
    )


def check_ranges(ranges: Ranges) -> None:
    """Fails with a UsageError that names the methods, unless there is this one."""
    method_named(ranges.method)
