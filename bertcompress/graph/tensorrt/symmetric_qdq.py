"""Symmetric Q/DQ pairs around weight products, placed as TensorRT fuses them.

Its placement rules: quantize all inputs of a weighted operator, never its output; activations with
one scale a tensor, weights with one an output channel; zero points are constants, and zero. The
pair of a tensor that query, key and value read is made once.

    x ── QuantizeLinear ── DequantizeLinear ─┐
    int8 weight ────────── DequantizeLinear ─┴ MatMul ── Add(bias) …

Source: https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/work-with-quantized-types.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.errors import CalibrationError
from bertcompress.graph.edit import (
    add_initializer,
    drop_unused_initializers,
    initializer_values,
    replace_nodes,
)
from bertcompress.graph.products import WeightProduct
from bertcompress.numerics.affine import quantize_s8
from bertcompress.numerics.granularity import PerAxis
from bertcompress.numerics.symmetric import (
    E4M3_LARGEST,
    INT8_LARGEST,
    HalfType,
    quantize_e4m3,
    symmetric_scale,
)

if TYPE_CHECKING:
    import onnx

EightBits = Literal["int8", "fp8"]


@dataclass(frozen=True)
class Scheme:
    """How values become symmetric ones of 8 bits.

    Attributes:
        kind: ``int8`` or ``fp8`` (E4M3).
        half: The type that scales are rounded to: that of the graph's other operators.
        stored: Whether weights are stored quantized. Else they stay float32 with a Q/DQ pair of
            their own, as TensorRT 8 demands.
    """

    kind: EightBits
    half: HalfType
    stored: bool = True

    @property
    def largest(self) -> float:
        """The largest number of the quantized type."""
        return INT8_LARGEST if self.kind == "int8" else E4M3_LARGEST

    def zero(self, count: int | None = None) -> NDArray[np.generic]:
        """Returns the zero point, which also tells the type; as many as there are scales."""
        kind = np.int8 if self.kind == "int8" else ml_dtypes.float8_e4m3fn
        return np.zeros(() if count is None else count, dtype=kind)


def quantize_products(
    graph: onnx.ModelProto,
    products: Sequence[WeightProduct],
    table: CalibrationTable,
    scheme: Scheme,
) -> None:
    """Makes both inputs of the products quantized ones, in place.

    Raises:
        CalibrationError: If the table lacks a range, or gives one tensor two.
    """
    pairs: dict[str, str] = {}
    ranges: dict[str, TensorRange] = {}
    nodes = {node.name: node for node in graph.graph.node}
    replacements: dict[str, list[onnx.NodeProto]] = {}
    for product in products:
        found = table.range_of(product.module)
        first = ranges.setdefault(product.tensor, found)
        if (first.low, first.high) != (found.low, found.high):
            raise CalibrationError(
                f"the table gives {product.module} another range than its neighbour of the same "
                "input; calibrate again"
            )
        new: list[onnx.NodeProto] = []
        if product.tensor not in pairs:
            amax = max(abs(found.low), abs(found.high))
            new, pairs[product.tensor] = activation_pair(graph, product.tensor, amax, scheme)
        weight_nodes, weight = _weight(graph, product, scheme)
        node = nodes[product.node]
        node.input[0], node.input[1] = pairs[product.tensor], weight
        replacements[product.node] = [*new, *weight_nodes, node]
    replace_nodes(graph, replacements)
    drop_unused_initializers(graph)


def activation_pair(
    graph: onnx.ModelProto, tensor: str, amax: float, scheme: Scheme
) -> tuple[list[onnx.NodeProto], str]:
    """Returns a Q/DQ pair for an activation, and the name of what it puts out.

    Args:
        graph: Gets the scale and the zero point.
        tensor: The activation.
        amax: The largest absolute value that is to be represented.
        scheme: How.
    """
    scale = symmetric_scale(amax, largest=scheme.largest, half=scheme.half)
    constants = [
        add_initializer(graph, f"{tensor}.scale", scale),
        add_initializer(graph, f"{tensor}.zero_point", scheme.zero()),
    ]
    return _pair(tensor, constants, axis=None)


def _pair(
    tensor: str, constants: Sequence[str], *, axis: int | None
) -> tuple[list[onnx.NodeProto], str]:
    from onnx import helper

    quantized, output = f"{tensor}.q", f"{tensor}.dq"
    along: dict[str, Any] = {} if axis is None else {"axis": axis}
    return [
        helper.make_node("QuantizeLinear", [tensor, *constants], [quantized], quantized, **along),
        helper.make_node("DequantizeLinear", [quantized, *constants], [output], output, **along),
    ], output


def _weight(
    graph: onnx.ModelProto, product: WeightProduct, scheme: Scheme
) -> tuple[list[onnx.NodeProto], str]:
    """Returns what dequantizes the weight ``[in, out]``, and the name of what it puts out."""
    from onnx import helper

    name = product.weight
    weight = cast("NDArray[np.float32]", initializer_values(graph, name))
    per_channel = scheme.kind == "int8"
    amax = np.abs(weight).max(axis=0 if per_channel else None, initial=0.0)
    scale = symmetric_scale(amax, largest=scheme.largest, half=scheme.half)
    zero = scheme.zero(weight.shape[1] if per_channel else None)
    constants = [
        add_initializer(graph, f"{name}.scale", scale),
        add_initializer(graph, f"{name}.zero_point", zero),
    ]
    axis = 1 if per_channel else None
    if not scheme.stored:
        return _pair(name, constants, axis=axis)
    values = (
        quantize_s8(weight, scale, PerAxis(1))
        if per_channel
        else quantize_e4m3(weight, np.float32(scale))
    )
    stored = add_initializer(graph, f"{name}.{scheme.kind}", values)
    along: dict[str, Any] = {} if axis is None else {"axis": axis}
    output = f"{name}.dq"
    node = helper.make_node("DequantizeLinear", [stored, *constants], [output], output, **along)
    return [node], output
