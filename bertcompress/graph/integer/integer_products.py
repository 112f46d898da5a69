"""Weight products on integers, in the operators that ONNX Runtime itself runs.

``MatMulIntegerToFloat`` multiplies U8 activations with S8 weights, scales and adds the bias in one
pass over the result; ``DynamicQuantizeMatMul`` finds the range of its activation first. They are
what ONNX Runtime makes of the standard operators (Q/DQ, ``DynamicQuantizeLinear``), except that it
leaves a bias as an addition of its own: 4 additions a layer, 6 % of the time at 128 tokens.

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.graph.edit import (
    ORT_DOMAIN,
    add_initializer,
    initializer_values,
    set_initializer,
)
from bertcompress.graph.products import WeightProduct
from bertcompress.graph.tidy import INTEGERS_SUFFIX
from bertcompress.numerics.affine import S8_MAX, choose_symmetric_s8, quantize_s8
from bertcompress.numerics.granularity import PerAxis

if TYPE_CHECKING:
    import onnx


def inputs_now(
    graph: onnx.ModelProto, products: tuple[WeightProduct, ...]
) -> tuple[WeightProduct, ...]:
    """Returns products with the tensors that they read now that their graph was shaped."""
    tensors = {node.name: node.input[0] for node in graph.graph.node}
    return tuple(replace(product, tensor=tensors[product.node]) for product in products)


def int8_weight(
    graph: onnx.ModelProto, name: str, *, largest: int = S8_MAX
) -> tuple[str, NDArray[np.float32]]:
    """Adds the weight ``[in, out]`` as int8; returns its name and its scales, float32 ``[out]``."""
    weight = cast("NDArray[np.float32]", initializer_values(graph, name))
    scale = choose_symmetric_s8(weight, PerAxis(1), largest=largest)
    return add_initializer(
        graph, f"{name}{INTEGERS_SUFFIX}", quantize_s8(weight, scale, PerAxis(1))
    ), scale


def correct_bias(
    graph: onnx.ModelProto,
    product: WeightProduct,
    channel_mean: NDArray[np.float32],
    *,
    largest: int = S8_MAX,
) -> bool:
    """Adds to a product's bias what rounding its weight takes from the mean output, in place.

    ``b += (W - W_q)^T mean(x)``, with ``W_q`` what the stored integers stand for. Source: Nagel et
    al. 2019, Data-Free Quantization, arXiv:1906.04721, section 4.2; the mean here is measured.

    Args:
        graph: Has the float weight and the bias.
        product: Which.
        channel_mean: The mean of each input channel, float32 ``[in]``.
        largest: The integer of the largest weight.

    Returns:
        Whether there was a bias.
    """
    if product.bias is None:
        return False
    weight = cast("NDArray[np.float32]", initializer_values(graph, product.weight))
    scale = choose_symmetric_s8(weight, PerAxis(1), largest=largest)
    stored = quantize_s8(weight, scale, PerAxis(1)).astype(np.float64) * scale
    shift = (weight.astype(np.float64) - stored).T @ channel_mean.astype(np.float64)
    bias = initializer_values(graph, product.bias).astype(np.float64)
    set_initializer(graph, product.bias, (bias + shift).astype(np.float32))
    return True


def bias_additions(
    graph: onnx.ModelProto, products: tuple[WeightProduct, ...]
) -> dict[str, onnx.NodeProto]:
    """Returns the addition of each product's bias, by the product's node.

    A product whose result is read by anything else has none.
    """
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    results = {node.name: node.output[0] for node in graph.graph.node}
    found = {}
    for product in products:
        after = readers.get(results[product.node], [])
        if product.bias and len(after) == 1 and product.bias in after[0].input:
            found[product.node] = after[0]
    return found


def scaled_product(
    graph: onnx.ModelProto,
    product: WeightProduct,
    integers: tuple[str, str, str],
    addition: onnx.NodeProto | None,
    *,
    largest: int = S8_MAX,
) -> onnx.NodeProto:
    """Returns the product of a quantized activation.

    Args:
        graph: Gets the int8 weight and its scales.
        product: What it stands for.
        integers: The names of the U8 activation, its scale and its zero point.
        addition: The bias's, which this node takes over; None leaves it out.
        largest: The integer of the largest weight.
    """
    weight = _weight(graph, product, largest)
    return product_of_integers(graph, product, integers, weight, addition)


def product_of_integers(
    graph: onnx.ModelProto,
    product: WeightProduct,
    integers: tuple[str, str, str],
    weight: tuple[str, str],
    addition: onnx.NodeProto | None,
) -> onnx.NodeProto:
    """Returns the product of a quantized activation with a quantized weight.

    Args:
        graph: Has them both; is not changed.
        product: What it stands for.
        integers: The names of the U8 activation, its scale and its zero point.
        weight: The names of the int8 weight ``[in, out]`` and its scales ``[out]``.
        addition: The bias's, which this node takes over; None leaves it out.
    """
    from onnx import helper

    values, scale, zero_point = integers
    integer_weight, scales = weight
    bias, output = _end(graph, product, addition)
    inputs = [values, integer_weight, scale, scales, zero_point, *(["", bias] if bias else [])]
    return helper.make_node(
        "MatMulIntegerToFloat", inputs, [output], product.node, domain=ORT_DOMAIN
    )


def self_scaling_product(
    graph: onnx.ModelProto,
    product: WeightProduct,
    addition: onnx.NodeProto | None,
    *,
    largest: int = S8_MAX,
) -> onnx.NodeProto:
    """Returns the product of a float activation that is quantized as it comes."""
    from onnx import helper

    weight, scales = _weight(graph, product, largest)
    bias, output = _end(graph, product, addition)
    inputs = [product.tensor, weight, scales, *(["", bias] if bias else [])]
    return helper.make_node(
        "DynamicQuantizeMatMul", inputs, [output], product.node, domain=ORT_DOMAIN
    )


def spelled_out_product(
    name: str, inputs: tuple[str, str, str], *, scales: str, output: str
) -> list[onnx.NodeProto]:
    """Returns the standard nodes of a product of integers, for matrices ``[batch, in]``.

    ONNX Runtime makes a Gemm of a MatMul of two axes and its bias before it looks for Q/DQ pairs,
    and a Gemm without a quantized output stays in float; so such a product is spelled out.

    Args:
        name: The product's; its last node is called so.
        inputs: The activation's integers, the weight's, and the activation's zero point.
        scales: The initializer of the activation's scale times the weight's, float32 ``[out]``.
        output: The tensor that is made.
    """
    from onnx import TensorProto, helper

    summed, as_float = f"{name}.int32", f"{name}.float"
    return [
        helper.make_node("MatMulInteger", list(inputs), [summed], summed),
        helper.make_node("Cast", [summed], [as_float], as_float, to=TensorProto.FLOAT),
        helper.make_node("Mul", [as_float, scales], [output], name),
    ]


def _weight(graph: onnx.ModelProto, product: WeightProduct, largest: int) -> tuple[str, str]:
    integers, scale = int8_weight(graph, product.weight, largest=largest)
    return integers, add_initializer(graph, f"{product.weight}.scale", scale)


def _end(
    graph: onnx.ModelProto, product: WeightProduct, addition: onnx.NodeProto | None
) -> tuple[str | None, str]:
    if addition is not None:
        return product.bias, str(addition.output[0])
    return None, output_of(graph, product)


def output_of(graph: onnx.ModelProto, product: WeightProduct) -> str:
    """Returns the name of a product's result."""
    return next(str(n.output[0]) for n in graph.graph.node if n.name == product.node)
