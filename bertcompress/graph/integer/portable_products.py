"""Weight products on integers in standard operators alone, for any runtime that reads ONNX.

ONNX Runtime fuses Q/DQ pairs around a product into the kernel that `integer_products.py`
names outright; the bias is left over as an addition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bertcompress.graph.edit import add_initializer
from bertcompress.graph.integer.integer_products import int8_weight, output_of, spelled_out_product
from bertcompress.graph.products import WeightProduct, rank_of
from bertcompress.numerics.affine import S8_MAX

if TYPE_CHECKING:
    import onnx


def portable_product(
    graph: onnx.ModelProto,
    product: WeightProduct,
    integers: tuple[str, str, str],
    scale: np.float32,
    *,
    largest: int = S8_MAX,
) -> list[onnx.NodeProto]:
    """Returns the nodes of the product of a quantized activation.

    Args:
        graph: Gets the int8 weight and its scales.
        product: What they stand for.
        integers: The names of the U8 activation, its scale and its zero point.
        scale: The activation's.
        largest: The integer of the largest weight.
    """
    if rank_of(graph, product.tensor) == 2:
        return _of_matrices(graph, product, integers, scale, largest)
    return _between_pairs(graph, product, integers, largest)


def _between_pairs(
    graph: onnx.ModelProto, product: WeightProduct, activation: tuple[str, str, str], largest: int
) -> list[onnx.NodeProto]:
    """The product between dequantized values; ONNX Runtime fuses the three into one kernel."""
    from onnx import helper

    integers, scale = int8_weight(graph, product.weight, largest=largest)
    scales = add_initializer(graph, f"{product.weight}.scale", scale)
    zeros = np.zeros(scale.shape, dtype=np.int8)
    zero_points = add_initializer(graph, f"{product.weight}.zero_point", zeros)
    left, right = f"{product.node}.input", f"{product.weight}.dq"
    output = output_of(graph, product)
    return [
        helper.make_node("DequantizeLinear", list(activation), [left], left),
        helper.make_node(
            "DequantizeLinear", [integers, scales, zero_points], [right], right, axis=1
        ),
        helper.make_node("MatMul", [left, right], [output], product.node),
    ]


def _of_matrices(
    graph: onnx.ModelProto,
    product: WeightProduct,
    activation: tuple[str, str, str],
    activation_scale: np.float32,
    largest: int,
) -> list[onnx.NodeProto]:
    """The product spelled out, for matrices ``[batch, in]``."""
    integers, scale = int8_weight(graph, product.weight, largest=largest)
    scales = add_initializer(graph, f"{product.weight}.scale", activation_scale * scale)
    values, _, zero_point = activation
    output = output_of(graph, product)
    return spelled_out_product(
        product.node, (values, integers, zero_point), scales=scales, output=output
    )
