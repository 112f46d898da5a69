"""SmoothQuant where it is free: the graph stays float, answers the same and quantizes better.

Large channels of what attention puts out are divided, by moving the factor into the value
projection before it (`bertcompress.graph.integer.smoothing`), so far as the expected noise of
rounding falls (`bertcompress.numerics.smoothing`), each layer by its own alpha. Nothing is added to
the graph. Ranges have to be found afterwards: a table made before is refused, its weights are
others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, cast

import numpy as np

from bertcompress.artifacts.artifact import Kind, OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.errors import CalibrationError, ParityError, UsageError
from bertcompress.graph.edit import copy_of, initializer_values
from bertcompress.graph.integer.smoothing import fold_scales, value_pairs
from bertcompress.numerics.smoothing import ALPHAS, Floats, best_scales
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.audit import drift_db
from bertcompress.passes.ranges import Ranges
from bertcompress.passes.settings import Need

SAME_DB = 80.0
"""The answers may differ by float32's rounding and no more: 1e-4 of their size."""


@dataclass(frozen=True)
class SmoothedLayer:
    """One layer.

    Attributes:
        module: Its value projection.
        alpha: How much went into the weights; None where nothing was gained.
        expected_noise: Of rounding, against before, in words.
    """

    module: str
    alpha: float | None
    expected_noise: str


@dataclass(frozen=True)
class SmoothingDetails:
    """What smoothing tells, a row for each layer."""

    layers: tuple[SmoothedLayer, ...]

    @property
    def smoothed(self) -> int:
        """The number of layers that were smoothed."""
        return sum(layer.alpha is not None for layer in self.layers)


@dataclass(frozen=True)
class SmoothActivations(Pass[OnnxModel, OnnxModel]):
    """Moves large channels of activations into weights, where that costs nothing.

    Attributes:
        ranges: How the channels' sizes are found.
        alpha: How much of the difficulty goes into the weights, 0..1; None searches it for each
            layer, and leaves alone what would not gain.
        seed: Draws the examples, and the inputs on which the answers are compared.
    """

    ranges: Ranges = field(default_factory=Ranges)
    alpha: float | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        if self.alpha is not None and not 0 <= self.alpha <= 1:
            raise UsageError(
                f"alpha must be 0 to 1, got {self.alpha:g}; leave it out to have it searched"
            )

    @property
    def needs(self) -> tuple[Need, ...]:
        """Examples, unless the ranges are known."""
        return self.ranges.needs

    def check(self, context: Context) -> None:
        """Refuses a context without anything to find ranges on."""
        self.ranges.check(has_examples=context.has_examples)

    def identity(self, context: Context) -> dict[str, str]:
        """Adds the content of a saved table."""
        return {**super().identity(context), **self.ranges.identity()}

    def apply(self, model: OnnxModel, context: Context) -> tuple[OnnxModel, SmoothingDetails]:
        """Returns the smoothed graph, still in float.

        Raises:
            UsageError: If the graph has no attention that a factor could be moved through.
            CalibrationError: If the table lacks a range or the channels' sizes.
            ParityError: If the answers changed.
        """
        pairs = value_pairs(model.graph)
        if not pairs:
            raise UsageError(
                "this graph has no attention with a float value projection of its own, so nothing "
                "can be smoothed for free; smooth before quantizing, an export of bertcompress"
            )
        table = context.ranges_of(model, self.ranges, seed=self.seed)
        context.progress("smooth", 0, 1)
        alphas = ALPHAS if self.alpha is None else (self.alpha,)
        scales, layers = {}, []
        for pair in pairs:
            module = pair.output.module
            seen = table.range_of(module)
            weight = cast("Floats", initializer_values(model.graph, pair.output.weight))
            alpha, chosen, ratio = best_scales(
                seen.low,
                seen.high,
                _channels(seen, module),
                weight,
                _mean_square(seen),
                alphas=alphas,
            )
            layers.append(SmoothedLayer(module, alpha, f"{100 * ratio:.0f}% of before"))
            if alpha is not None:
                scales[pair] = chosen
        graph = copy_of(model.graph)
        fold_scales(graph, scales)
        result = replace(model, graph=graph)
        self._check(model, result)
        context.progress("smooth", 1, 1)
        return result, SmoothingDetails(tuple(layers))

    def _check(self, before: OnnxModel, after: OnnxModel) -> None:
        ratio = drift_db(before, after.graph, seed=self.seed)
        if math.isfinite(ratio) and ratio < SAME_DB:
            raise ParityError(
                f"smoothing changed the answers ({ratio:.0f} dB above the difference, "
                f"{SAME_DB:g} is the least); nothing was written; take an alpha nearer to 0.5"
            )


def can_smooth(model: OnnxModel, table: CalibrationTable) -> bool:
    """Says whether the graph has a place for it and the table knows the channels' sizes there."""
    modules = [pair.output.module for pair in value_pairs(model.graph)]
    return bool(modules) and all(
        table.range_of(module).channel_absmax is not None for module in modules
    )


def _channels(tensor_range: TensorRange, module: str) -> Floats:
    if tensor_range.channel_absmax is None:
        raise CalibrationError(
            f"the calibration table does not say how large the channels of {module} are; "
            "calibrate again with this version"
        )
    return tensor_range.channel_absmax


def _mean_square(tensor_range: TensorRange) -> float:
    edges = tensor_range.bin_edges
    middles = (edges[:-1] + edges[1:]) / 2
    return float(np.sum(tensor_range.histogram * middles**2) / max(1, tensor_range.count))
