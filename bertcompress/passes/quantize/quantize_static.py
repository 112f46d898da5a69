"""INT8 with ranges found beforehand: the fastest on long texts, and the same for any batch mates.

Placement:

* Inputs of **weight products only**: LayerNorm, softmax, GELU, residual additions and the products
  of two activations stay in float. Quantizing those too breaks the fusions and costs accuracy.
* Activations U8, asymmetric, one scale a tensor; weights S8, symmetric, one scale an output
  channel. With S8 activations ONNX Runtime on x64 leaves most products in float.
* No quantized output and a float bias, added as the integer product is scaled.
* Query, key and value read one quantized tensor: it is quantized once.
* The ranges do not depend on the batch, so neither do the answers.

The products are written as the operator that ONNX Runtime runs (`integer_products.py`), or,
with ``portable``, as standard Q/DQ pairs around a ``MatMul``, which other runtimes read and ONNX
Runtime fuses into the same kernel, with the bias left over as an addition.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bertcompress.artifacts.artifact import Kind, OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.errors import CalibrationError
from bertcompress.graph.edit import (
    add_initializer,
    drop_unused_initializers,
    import_ort_domain,
    replace_nodes,
)
from bertcompress.graph.for_onnxruntime import shaped_for_onnxruntime
from bertcompress.graph.integer.embeddings import quantize_embeddings
from bertcompress.graph.integer.integer_products import (
    bias_additions,
    correct_bias,
    inputs_now,
    scaled_product,
)
from bertcompress.graph.integer.portable_products import portable_product
from bertcompress.graph.products import HEADS, WeightProduct
from bertcompress.machine.cpu import target_flags
from bertcompress.numerics.affine import S8_MAX, choose_asymmetric_u8
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.audit import (
    QuantizationDetails,
    audited,
    calibration_facts,
    check_patterns,
    largest_weight,
    made_for,
    split_products,
    weight_bits,
)
from bertcompress.passes.quantize.trained_ranges import trained_ranges
from bertcompress.passes.ranges import TRAINED, Ranges
from bertcompress.passes.settings import Need

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class QuantizeStatic(Pass[OnnxModel, OnnxModel]):
    """Quantizes weights and activations to 8 bits with calibrated ranges.

    Attributes:
        ranges: How the ranges are found; the method ``trained`` takes those that `TrainQuantized`
            left.
        embeddings: Whether the embedding tables become INT8 too.
        keep_float: Modules that stay in float, names or patterns (``bert.encoder.layer.0.*``).
        portable: Whether the graph keeps to standard operators, for OpenVINO and others.
        correct_bias: Whether what rounding weights takes from the mean output is given to the bias;
            a table that does not know the channels' means corrects nothing. Off: on texts unlike
            the calibration's the mean is another, and answers came out up to a third further off.
        target: The machine it is made for, one of `bertcompress.machine.cpu.TARGETS`: weights keep
            7 bits for x64 without VNNI. None for this CPU.
        seed: Draws the examples, and the inputs on which the drift is measured.
    """

    ranges: Ranges = field(default_factory=Ranges)
    embeddings: bool = True
    keep_float: tuple[str, ...] = HEADS
    portable: bool = False
    correct_bias: bool = False
    target: str | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        check_patterns(self.keep_float)
        target_flags(self.target)
        if self._trained:
            self.ranges.refuse("the ranges of training", but="method")

    @property
    def _trained(self) -> bool:
        return self.ranges.method == TRAINED

    @property
    def needs(self) -> tuple[Need, ...]:
        """Examples, unless the ranges are known."""
        return () if self._trained else self.ranges.needs

    def check(self, context: Context) -> None:
        """Refuses a context without anything to find ranges on."""
        if not self._trained:
            self.ranges.check(has_examples=context.has_examples)

    def identity(self, context: Context) -> dict[str, str]:
        """Adds the content of a saved table."""
        return {**super().identity(context), **self.ranges.identity()}

    def apply(self, model: OnnxModel, context: Context) -> tuple[OnnxModel, QuantizationDetails]:
        """Returns the quantized graph.

        Raises:
            UsageError: If `keep_float` fits nothing, or nothing is left to quantize.
            CalibrationError: If the table lacks a product's range, or is of other weights.
            FusionAuditError: If ONNX Runtime would run a product in float unasked.
            ParityError: If the answers collapsed.
        """
        quantized, stay = split_products(model, self.keep_float)
        table = (
            trained_ranges(model)
            if self._trained
            else context.ranges_of(model, self.ranges, seed=self.seed)
        )
        context.progress("quantize", 0, 2)
        graph = shaped_for_onnxruntime(model.graph)
        largest = largest_weight(self.target)
        corrected = self._correct(graph, quantized, table, largest)
        quantize_products(graph, quantized, table, portable=self.portable, largest=largest)
        tables = quantize_embeddings(graph, portable=self.portable) if self.embeddings else ()
        context.progress("quantize", 1, 2)
        told = audited(model, graph, quantized=quantized, stay=stay, seed=self.seed)
        details = replace(
            told,
            calibration=calibration_facts(table),
            weights=weight_bits(self.target),
            made_for=made_for(self.target),
            biases_corrected=corrected,
            int8_embedding_tables=", ".join(tables) or "none",
        )
        context.progress("quantize", 2, 2)
        return replace(model, graph=graph), details

    def _correct(
        self,
        graph: onnx.ModelProto,
        products: tuple[WeightProduct, ...],
        table: CalibrationTable,
        largest: int,
    ) -> int:
        """Corrects the biases that it can; returns how many."""
        if not self.correct_bias:
            return 0
        count = 0
        for product in products:
            mean = table.range_of(product.module).channel_mean
            count += mean is not None and correct_bias(graph, product, mean, largest=largest)
        return count


def quantize_products(
    graph: onnx.ModelProto,
    products: tuple[WeightProduct, ...],
    table: CalibrationTable,
    *,
    portable: bool = False,
    largest: int = S8_MAX,
) -> None:
    """Makes the products integer ones, in place.

    Args:
        graph: Shaped for ONNX Runtime.
        products: Those of the graph before it was shaped.
        table: Has their ranges.
        portable: Whether to keep to standard operators.
        largest: The integer of the largest weight.

    Raises:
        CalibrationError: If two products of one tensor have different ranges.
    """
    quantized: dict[str, _Activation] = {}
    replacements: dict[str, list[onnx.NodeProto]] = {}
    biases = {} if portable else bias_additions(graph, products)
    for product in inputs_now(graph, products):
        known = table.range_of(product.module)
        new: list[onnx.NodeProto] = []
        if product.tensor not in quantized:
            quantized[product.tensor] = _add_quantization(graph, product.tensor, known)
            new = quantized[product.tensor].nodes
        activation = quantized[product.tensor]
        if activation.range != (known.low, known.high):
            raise CalibrationError(
                f"the table gives {product.module} another range than its neighbour of the same "
                "input; calibrate again"
            )
        names = activation.names
        if portable:
            nodes = portable_product(graph, product, names, activation.scale, largest=largest)
        else:
            addition = biases.get(product.node)
            nodes = [scaled_product(graph, product, names, addition, largest=largest)]
        replacements[product.node] = [*new, *nodes]
    replacements |= {addition.name: [] for addition in biases.values()}
    replace_nodes(graph, replacements)
    drop_unused_initializers(graph)
    if not portable:
        import_ort_domain(graph)


@dataclass(frozen=True)
class _Activation:
    """A tensor that was quantized: the names of its integers, scale and zero point, and how."""

    names: tuple[str, str, str]
    scale: np.float32
    range: tuple[float, float]
    nodes: list[onnx.NodeProto]


def _add_quantization(graph: onnx.ModelProto, tensor: str, known: TensorRange) -> _Activation:
    from onnx import helper

    scale, zero_point = choose_asymmetric_u8(known.low, known.high)
    grid = (
        add_initializer(graph, f"{tensor}.scale", np.asarray(scale)),
        add_initializer(graph, f"{tensor}.zero_point", np.asarray(zero_point)),
    )
    integers = f"{tensor}.q"
    node = helper.make_node("QuantizeLinear", [tensor, *grid], [integers], integers)
    return _Activation((integers, *grid), scale, (known.low, known.high), [node])
