"""The ways of making an INT8 graph that are measured against each other, and what was measured.

| way | what |
|---|---|
| static | calibrated ranges |
| smoothed | the same after SmoothQuant, in layers where that is expected to help |
| dynamic | ranges as they come |
| blocks | 8-bit blocks of 128 weights, activations quantized as they come |
| nncf | what NNCF makes of it, where it is installed |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.codec import from_plain
from bertcompress.errors import UsageError
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.audit import QuantizationDetails
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_nncf import QuantizeNncf
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.quantize.smooth_activations import (
    SmoothActivations,
    SmoothedLayer,
    SmoothingDetails,
    can_smooth,
)
from bertcompress.passes.ranges import Ranges
from bertcompress.progress import silent
from bertcompress.search.mixed_precision import ProductCost

Make = Callable[[tuple[str, ...]], OnnxModel]
"""Makes the graph with these modules in float, names or patterns."""

PROFILES = ("static", "smoothed", "dynamic", "blocks")
"""The ways that need no more than ranges; ``smoothed`` is left out where nothing is gained."""
NNCF = "nncf"


@dataclass(frozen=True)
class Judgement:
    """How the answers of a graph compare with the float graph's on texts held out.

    Attributes:
        drop: What the metric lost, 0..1; below 0 where it gained. Of vectors that metric is their
            cosine to the float graph's. Without labels, the share of answers that differ
            (`bertcompress.tasks.same_answers`).
        divergence: The mean Kullback-Leibler divergence of the answers from the float graph's.
    """

    drop: float
    divergence: float


@dataclass(frozen=True)
class WayTried:
    """One row of the table of ways.

    Attributes:
        way: What reports call it.
        ms: Milliseconds a text.
        speed_up: Against the float graph, timed beside it.
        points_lost: Of the metric, in hundredths.
        divergence: See `Judgement`.
        mb: Megabytes of the graph.
        chosen: Whether it is the result.
    """

    way: str
    ms: float
    speed_up: float
    points_lost: float
    divergence: float
    mb: float
    chosen: bool


@dataclass(frozen=True)
class WaysDetails(QuantizationDetails):
    """What the search tells beside what the chosen way tells.

    Attributes:
        chosen: The way.
        ways_tried: Every way, measured.
        ways_that_collapsed: Their names, in words.
        smoothing: The layers that the chosen way smoothed before.
        products_that_cost_most: Where they were ranked.
        spared: Modules that were put back into float, in words.
        rejected_for: ``speed`` or ``accuracy``, where the result does not keep what was asked.
        rejected: Why it does not.
    """

    chosen: str = ""
    ways_tried: tuple[WayTried, ...] = ()
    ways_that_collapsed: str | None = None
    smoothing: tuple[SmoothedLayer, ...] | None = None
    products_that_cost_most: tuple[ProductCost, ...] | None = None
    spared: str | None = None
    rejected_for: str | None = None
    rejected: str | None = None


@dataclass(frozen=True)
class Int8Candidate:
    """One INT8 graph, measured.

    Attributes:
        name: What reports call it.
        model: The graph.
        judgement: How the answers compare.
        seconds: A text.
        speedup: Against the float graph, timed beside it.
        spared: Modules that were put back into float.
    """

    name: str
    model: OnnxModel
    judgement: Judgement
    seconds: float
    speedup: float
    spared: tuple[str, ...] = ()

    def row(self, *, chosen: bool) -> WayTried:
        """Returns its row of the table of ways."""
        return WayTried(
            way=self.name,
            ms=round(1e3 * self.seconds, 3),
            speed_up=round(self.speedup, 2),
            points_lost=round(100 * self.judgement.drop, 4),
            divergence=float(f"{self.judgement.divergence:.3g}"),
            mb=round(self.model.size_bytes / 1e6, 1),
            chosen=chosen,
        )


def ways_to_int8(
    model: OnnxModel,
    profiles: Sequence[str],
    ranges: Ranges,
    context: Context,
    *,
    embeddings: bool,
    seed: int,
) -> dict[str, Make]:
    """Returns what makes each way's graph.

    Args:
        model: The float graph.
        profiles: Which ways, of `PROFILES`.
        ranges: How ranges are found, also those of the smoothed graph.
        context: What they are found on.
        embeddings: Whether the embedding tables become INT8 too.
        seed: Draws examples, and the inputs on which drifts are measured.

    Raises:
        CalibrationError: If no range can be found.
        UsageError: If no way is left.
    """
    table = context.ranges_of(model, ranges, seed=seed)
    known = _knowing(context, table)
    static = QuantizeStatic(ranges, embeddings=embeddings, seed=seed)
    blocks = QuantizeWeights(bits=8, block_size=128, embeddings=embeddings, seed=seed)
    ways: dict[str, Make] = {}
    for name in profiles:
        if name == "static":
            ways[name] = partial(_made, static, model, known)
        elif name == "dynamic":
            ways[name] = partial(_made, QuantizeDynamic(embeddings, seed=seed), model, known)
        elif name == "blocks":
            ways[name] = partial(_made, blocks, model, known)
        elif can_smooth(model, table):
            smoothed = SmoothActivations(ranges, seed=seed)(model, known)
            if from_plain(SmoothingDetails, smoothed.history[-1].details).smoothed:
                again = context.ranges_of(smoothed, ranges, seed=seed)
                ways[name] = partial(_made, static, smoothed, _knowing(context, again))
    if find_spec("nncf"):
        nncf = QuantizeNncf(ranges.samples, ranges.max_length, embeddings=embeddings, seed=seed)
        ways[NNCF] = partial(_made, nncf, model, context.changed(progress=silent))
    if not ways:
        raise UsageError(
            "smoothing is not expected to help this model anywhere, and no other way was named; "
            f"take one of {', '.join(PROFILES)}"
        )
    return ways


Quantizes = QuantizeStatic | QuantizeDynamic | QuantizeWeights | QuantizeNncf


def _made(pass_: Quantizes, model: OnnxModel, context: Context, keep: tuple[str, ...]) -> OnnxModel:
    return replace(pass_, keep_float=keep)(model, context)


def _knowing(context: Context, table: CalibrationTable) -> Context:
    """Returns a context in which the ranges are known, that tells no progress.

    Nothing is drawn from its examples, so one stands for all: a fingerprint of all would be taken
    for each graph that is made.
    """

    def known(
        model: OnnxModel, ranges: Ranges, context: Context, *, seed: int, attention: bool = False
    ) -> CalibrationTable:
        return table

    some = context.examples[:1]
    return context.changed(examples=some, calibrate=known, progress=silent)
