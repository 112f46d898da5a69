"""What all quantize passes share: which products stay in float, and the audit of the result.

**The audit.** ONNX Runtime itself optimizes the quantized graph, and what it would run is counted:
a weight product that it left in float, and that the settings did not name, is an error. The usual
tools leave two thirds of the products in float here and say nothing.

**The drift.** The quantized graph and the float graph run over the same drawn inputs; the ratio of
signal to quantization noise is recorded, and a graph whose noise is as large as its signal has
collapsed, which is an error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.bert.families import longest_text
from bertcompress.errors import FusionAuditError, ParityError, UsageError, did_you_mean
from bertcompress.graph.kernels import Kernels, count_kernels
from bertcompress.graph.products import HEADS, WeightProduct, weight_products
from bertcompress.machine.cpu import saturates, target_flags
from bertcompress.numerics.affine import S8_MAX, S8_REDUCED
from bertcompress.parity.outputs import compare_outputs, parity_feeds
from bertcompress.runtimes.ort.runtime import optimized_graph, run_graph

if TYPE_CHECKING:
    import onnx


LOWEST_SQNR_DB = 3.0
"""Below this, half the output's energy is noise: the graph has collapsed."""


def check_patterns(keep_float: tuple[str, ...]) -> None:
    """Fails with a UsageError if a pattern is empty or not a text."""
    for pattern in keep_float:
        if not isinstance(pattern, str) or not pattern:
            raise UsageError(f"keep_float takes module names or patterns, got {pattern!r}")


def largest_weight(target: str | None) -> int:
    """Returns the integer of the largest weight: that of 7 bits where sums would overflow.

    Args:
        target: One of `bertcompress.machine.cpu.TARGETS`, or None for this CPU.
    """
    return S8_REDUCED if saturates(target_flags(target)) else S8_MAX


def weight_bits(target: str | None) -> str:
    """Returns the bits of a weight as details say them."""
    return "7 bits (no VNNI)" if largest_weight(target) == S8_REDUCED else "8 bits"


def made_for(target: str | None) -> str:
    """Returns the machine as details say it."""
    return target or "the CPU that it was made on"


def split_products(
    model: OnnxModel, keep_float: tuple[str, ...]
) -> tuple[tuple[WeightProduct, ...], tuple[WeightProduct, ...]]:
    """Returns the products to quantize, and those that stay in float.

    Raises:
        UsageError: If a pattern fits no product, or nothing is left to quantize.
    """
    products = weight_products(model.graph)
    chosen = chosen_modules([product.module for product in products], keep_float)
    quantized = tuple(product for product in products if product.module in chosen)
    return quantized, tuple(product for product in products if product not in quantized)


def chosen_modules(modules: Sequence[str], keep_float: tuple[str, ...]) -> tuple[str, ...]:
    """Returns those of a model's float weight products that are to be quantized.

    Raises:
        UsageError: If a pattern fits no product, or nothing is left to quantize.
    """
    for pattern in keep_float:
        if pattern not in HEADS and not any(fnmatchcase(module, pattern) for module in modules):
            raise UsageError(
                f"keep_float names {pattern!r}, which fits no module of this model"
                + did_you_mean(pattern, modules)
            )
    chosen = tuple(
        module
        for module in modules
        if not any(fnmatchcase(module, pattern) for pattern in keep_float)
    )
    if not chosen:
        raise UsageError(
            "this model has no float weight products left to quantize: it is quantized already "
            "(take the model that it was made from), or keep_float names them all"
        )
    return chosen


def audit(
    graph: onnx.ModelProto, stay: tuple[WeightProduct, ...], expected: tuple[WeightProduct, ...]
) -> Kernels:
    """Counts the kernels that ONNX Runtime runs, and fails if one is in float unasked.

    Raises:
        FusionAuditError: If a weight product that is not in `stay` runs in float, or fewer
            integer kernels run than products were quantized.
    """
    kernels = count_kernels(optimized_graph(graph))
    named = {product.module for product in stay}
    left = [module for module in kernels.float_products if module not in named]
    if left:
        raise FusionAuditError(
            f"ONNX Runtime leaves {len(left)} of {len(left) + len(expected)} weight products in "
            f"float that should be quantized, the first is {left[0]}; name them in keep_float if "
            "that is wanted"
        )
    run = sum(kernels.integer.values()) + sum(kernels.weight_only.values())
    if run != len(expected):
        raise FusionAuditError(
            f"{len(expected)} weight products were quantized, but ONNX Runtime runs {run} "
            "integer kernels"
        )
    return kernels


@dataclass(frozen=True)
class ProductPrecision:
    """How one product or table is stored.

    Attributes:
        module: Whose weight it is.
        precision: ``quantized``, ``float32``, or the name of a format.
        reason: Why it is not in 8 bits, where a pass decides that; empty if it is.
    """

    module: str
    precision: str
    reason: str | None = None


@dataclass(frozen=True)
class CalibrationFacts:
    """Where ranges came from.

    Attributes:
        method: How they were decided.
        samples: The number of examples run.
        seed: Drew them.
        split: The split that they are of, where it is known.
        data: The fingerprint of what they were drawn from.
    """

    method: str
    samples: int
    seed: int
    split: str | None
    data: str


def calibration_facts(table: CalibrationTable) -> CalibrationFacts:
    """Returns where a table's ranges came from."""
    return CalibrationFacts(
        table.method, len(table.sample_ids), table.seed, table.split, table.data_fingerprint
    )


@dataclass(frozen=True)
class NncfCalibration:
    """What NNCF found its ranges on.

    Attributes:
        inputs: The number of texts.
        smooth_alpha: How much was smoothed; None for nothing.
    """

    inputs: int
    smooth_alpha: float | None


@dataclass(frozen=True)
class QuantizationDetails:
    """What a quantize pass tells; what does not hold for a pass is None.

    Attributes:
        kernels: What ONNX Runtime runs, by name.
        precision: How each product is stored, tables too where that differs.
        output_sqnr_db: The signal-to-noise ratio of the outputs; None if without noise.
        left_in_float: The modules in float, in words.
        calibration: Where the ranges came from.
        nncf_calibration: The same of NNCF.
        weights: The bits of a weight of 8 bits, in words.
        made_for: The machine.
        biases_corrected: The number of biases that make up for rounding.
        int8_embedding_tables: Their names, in words.
        products_put_back_into_float: Those that accuracy control put back, in words.
        activations_put_back_into_float: The same, where the weights stay in 8 bits.
        accuracy_control: What was lost on how many examples, by name.
        rounding: How weights of blocks were rounded.
        size: Before and after, in words.
        note: What to expect.
        divergence_of_answers: From the float graph's, on texts held out.
    """

    kernels: Mapping[str, int]
    precision: tuple[ProductPrecision, ...]
    output_sqnr_db: float | None
    left_in_float: str
    calibration: CalibrationFacts | None = None
    nncf_calibration: NncfCalibration | None = None
    weights: str | None = None
    made_for: str | None = None
    biases_corrected: int | None = None
    int8_embedding_tables: str | None = None
    products_put_back_into_float: str | None = None
    activations_put_back_into_float: str | None = None
    accuracy_control: Mapping[str, float] | None = None
    rounding: str | None = None
    size: str | None = None
    note: str | None = None
    divergence_of_answers: float | None = None


def drift_db(
    model: OnnxModel, graph: onnx.ModelProto, *, seed: int, as_written: bool = False
) -> float:
    """Returns the signal-to-quantization-noise ratio of the outputs, decibels.

    Over drawn inputs, padding left out; see `Parity.sqnr_db`.

    Args:
        model: The float one.
        graph: The quantized graph.
        seed: Draws the inputs.
        as_written: Whether the quantized graph runs without ONNX Runtime's own fusions: where it is
            meant for another runtime.

    Raises:
        ParityError: If it is below `LOWEST_SQNR_DB`, or a value is not a finite number.
    """
    config = model.config
    feeds = parity_feeds(vocabulary=config.vocab_size, longest=longest_text(config), seed=seed)
    expected = run_graph(model.graph, list(feeds))
    got = run_graph(graph, list(feeds), as_written=as_written)
    ratio = compare_outputs(expected, got, feeds).sqnr_db
    if ratio < LOWEST_SQNR_DB:
        raise ParityError(
            f"the quantized graph has collapsed: its outputs are {ratio:.1f} dB above the "
            f"quantization noise, {LOWEST_SQNR_DB:g} dB is the least; nothing was written"
        )
    return ratio


def told_db(ratio: float) -> float | None:
    """Returns a ratio as details tell it: to a tenth of a decibel, None where it is infinite."""
    return round(ratio, 1) if math.isfinite(ratio) else None


def audited(
    model: OnnxModel,
    graph: onnx.ModelProto,
    *,
    quantized: tuple[WeightProduct, ...],
    stay: tuple[WeightProduct, ...],
    seed: int,
    precisions: Mapping[str, str] | None = None,
) -> QuantizationDetails:
    """Audits a quantized graph and returns what is told of it.

    Args:
        model: What it was made from.
        graph: The quantized graph.
        quantized: The products that must run on integers.
        stay: Those in float.
        seed: Draws the inputs on which the drift is measured.
        precisions: How parts were stored, by module, tables too; without, ``quantized`` for all.

    Raises:
        FusionAuditError: If ONNX Runtime would run a product in float unasked.
        ParityError: If the answers collapsed.
    """
    kernels = audit(graph, stay, quantized)
    stored = {
        **{product.module: "quantized" for product in quantized},
        **{product.module: "float32" for product in stay},
        **(precisions or {}),
    }
    return QuantizationDetails(
        kernels=kernels.counts,
        precision=tuple(ProductPrecision(*row) for row in stored.items()),
        output_sqnr_db=told_db(drift_db(model, graph, seed=seed)),
        left_in_float=", ".join(product.module for product in stay) or "nothing",
    )
