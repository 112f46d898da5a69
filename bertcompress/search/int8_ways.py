"""The ways of making an INT8 graph that are measured against each other.

| way | what |
|---|---|
| static | calibrated ranges |
| smoothed | the same after SmoothQuant, in layers where that is expected to help |
| dynamic | ranges as they come |
| blocks | 8-bit blocks of 128 weights, activations quantized as they come |
| nncf | what NNCF makes of it |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.errors import UsageError
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_nncf import QuantizeNncf
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.quantize.smooth_activations import (
    SmoothActivations,
    can_smooth,
    smoothed_layers,
)

Calibrator = Callable[[OnnxModel], CalibrationTable]
Way = Callable[[tuple[str, ...]], OnnxModel]
"""Makes the graph with these modules in float, names or patterns."""

PROFILES = ("static", "smoothed", "dynamic", "blocks")
"""The ways that need no more than ranges; ``smoothed`` is left out where nothing is gained."""
NNCF = "nncf"


def int8_ways(
    model: OnnxModel,
    profiles: tuple[str, ...],
    calibrate: Calibrator,
    nncf: QuantizeNncf | None,
    *,
    embeddings: bool,
    seed: int,
) -> dict[str, Way]:
    """Returns what makes each way's graph.

    Args:
        model: The float graph.
        profiles: Which ways, of `PROFILES`.
        calibrate: Finds ranges, also those of the smoothed graph.
        nncf: One more way, or None.
        embeddings: Whether the embedding tables become INT8 too.
        seed: Draws the inputs on which drifts are measured.

    Raises:
        CalibrationError: If no range can be found.
        UsageError: If no way is left.
    """
    table = calibrate(model)
    ways: dict[str, Way] = {}
    for name in profiles:
        if name == "static":
            ways[name] = partial(_static, model, table, embeddings, seed)
        elif name == "dynamic":
            ways[name] = partial(_dynamic, model, embeddings, seed)
        elif name == "blocks":
            ways[name] = partial(_blocks, model, embeddings, seed)
        elif can_smooth(model, table):
            smoothed = SmoothActivations(lambda _: table, seed=seed)(model)
            if smoothed_layers(smoothed):
                ways[name] = partial(_static, smoothed, calibrate(smoothed), embeddings, seed)
    if nncf is not None:
        ways[NNCF] = partial(_nncf, model, nncf)
    if not ways:
        raise UsageError(
            "smoothing is not expected to help this model anywhere, and no other way was named; "
            f"take one of {', '.join(PROFILES)}"
        )
    return ways


def _static(
    model: OnnxModel, table: CalibrationTable, embeddings: bool, seed: int, keep: tuple[str, ...]
) -> OnnxModel:
    made = QuantizeStatic(lambda _: table, embeddings=embeddings, keep_float=keep, seed=seed)
    return made(model)


def _dynamic(model: OnnxModel, embeddings: bool, seed: int, keep: tuple[str, ...]) -> OnnxModel:
    return QuantizeDynamic(embeddings, keep_float=keep, seed=seed)(model)


def _blocks(model: OnnxModel, embeddings: bool, seed: int, keep: tuple[str, ...]) -> OnnxModel:
    made = QuantizeWeights(
        bits=8, block_size=128, embeddings=embeddings, keep_float=keep, seed=seed
    )
    return made(model)


def _nncf(model: OnnxModel, nncf: QuantizeNncf, keep: tuple[str, ...]) -> OnnxModel:
    return replace(nncf, keep_float=keep)(model)
