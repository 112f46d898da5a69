"""The steps whose ranges are measured on the recipe's data or read from a saved table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from bertcompress.errors import UsageError
from bertcompress.passes.base import Pass
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.smooth_activations import SmoothActivations
from bertcompress.passes.quantize.trained_ranges import METHOD as TRAINED
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from bertcompress.progress import Progress
from bertcompress.recipes.resources import Material
from bertcompress.train.train_quantized import TrainQuantized
from bertcompress_calibration import Calibrate, SavedTable

CALIBRATED: tuple[type, ...] = (QuantizeStatic, QuantizeTensorrt, SmoothActivations)
TABLE = "table"
_SHARED = ("seed", "attention")
"""Settings that the pass and its calibration both take."""


def calibrated(
    kind: type, settings: Mapping[str, object], material: Material, progress: Progress
) -> Pass:
    """Returns the pass of a kind in `CALIBRATED`, with what finds its ranges.

    Raises:
        UsageError: A setting is of no use here, or there is neither data nor a table.
        CalibrationError: The table can't be read.
    """
    own = {one.name for one in fields(kind)}
    quantizing = {key: value for key, value in settings.items() if key in own}
    ranging = {
        key: value
        for key, value in settings.items()
        if key != TABLE and (key not in own or key in _SHARED)
    }
    others = [key for key in ranging if key not in _SHARED]
    table = settings.get(TABLE)
    if settings.get("precision") in ("fp16", "bf16"):
        others += [TABLE] if table is not None else []
        _refuse(others, f"{settings['precision']}, which needs no ranges")
    elif kind is QuantizeStatic and ranging.get("method") == TRAINED:
        others += [TABLE] if table is not None else []
        _refuse([key for key in others if key != "method"], "the ranges of training")
    else:
        quantizing["calibrate"] = _calibrator(table, ranging, material, progress)
    made: Pass = kind(**quantizing)
    return made


def with_calibration(
    settings: Mapping[str, object], material: Material, progress: Progress
) -> dict[str, object]:
    """Returns the fields of `TrainQuantized`, with what finds the ranges that it starts from.

    Raises:
        UsageError: A setting is of no use here.
        CalibrationError: The table can't be read.
    """
    own = {one.name for one in fields(TrainQuantized)}
    training = {key: value for key, value in settings.items() if key in own}
    ranging = {
        key: value
        for key, value in settings.items()
        if key != TABLE and (key not in own or key == "seed")
    }
    table = settings.get(TABLE)
    if training.get("bits") == 4:
        others = [key for key in ranging if key != "seed"] + ([TABLE] if table is not None else [])
        _refuse(others, "4 bits, which have no ranges")
    elif material.examples:
        training["calibrate"] = _calibrator(table, ranging, material, progress)
    return training


def _calibrator(
    table: object, ranging: Mapping[str, object], material: Material, progress: Progress
) -> Calibrate | SavedTable:
    """Returns what finds ranges: on the examples, or in a saved table."""
    if table is not None:
        _refuse([key for key in ranging if key not in _SHARED], "a saved table")
        return SavedTable(Path(str(table)))
    if not material.examples:
        raise UsageError(
            "static ranges are found on data and none was given; add --data, or take "
            "--method dynamic, which needs none"
        )
    return Calibrate(
        material.examples,
        split=material.split,
        progress=progress,
        **ranging,  # type: ignore[arg-type]  # checked by the recipe
    )


def _refuse(unused: list[str], beside: str) -> None:
    if unused:
        raise UsageError(f"{unused[0]} is not used with {beside}; leave one of them out")
