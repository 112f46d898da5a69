"""Quantized products in graphs: how they are written, and those of other tools made into ours.

A product is *quantized* when both its inputs come from a ``DequantizeLinear``: the activation's has
a ``QuantizeLinear`` before it, the weight's reads integers. What such tools write runs in any
runtime, but slowly in some; four exact rewritings make it the form that ONNX Runtime on x64 has
integer kernels for:

* **Unsigned activations.** ``clamp(round(x / s) + z, -128, 127) + 128`` is the same number as
  ``clamp(round(x / s) + z + 128, 0, 255)``, so a signed quantization becomes an unsigned one by
  128 more in its zero point, and what is dequantized is the same to the bit.
* **One quantization** of a tensor that several products read.
* **Names.** The integers of the weight of a module ``m`` are called ``m.weight_t.int8``, as all our
  passes do, so that an audit can say which module it found.
* **Operators**: the products are written as `integer_products` has them, the bias included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.graph.edit import (
    add_initializer,
    copy_of,
    drop_dead_nodes,
    drop_unused_initializers,
    import_ort_domain,
    initializer_values,
    makers_of,
    replace_nodes,
)
from bertcompress.graph.integer.integer_products import (
    bias_additions,
    int8_weight,
    output_of,
    product_of_integers,
    spelled_out_product,
)
from bertcompress.graph.products import WeightProduct, rank_of
from bertcompress.graph.tidy import INTEGERS_SUFFIX

if TYPE_CHECKING:
    import onnx

_SIGNED_TO_UNSIGNED = 128


@dataclass(frozen=True)
class _Pair:
    """What goes into a product: names of tensors and initializers, None where it is in float."""

    activation: tuple[str, str, str] | None
    """Integers, scale, zero point."""

    weight: tuple[str, str] | None
    """Integers ``[in, out]``, scales ``[out]``."""


def is_quantized(graph: onnx.ModelProto, product: WeightProduct) -> bool:
    """Says whether both inputs of a product are dequantized."""
    pair = _pair_of(graph, product)
    return pair.activation is not None and pair.weight is not None


def unsigned_activations(graph: onnx.ModelProto) -> int:
    """Makes all signed quantized activations unsigned, in place; returns how many there were."""
    from onnx import numpy_helper

    initializers = {tensor.name: tensor for tensor in graph.graph.initializer}
    zero_points = {
        node.input[2]
        for node in graph.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] not in initializers
    }
    changed = 0
    for name in sorted(zero_points):
        signed = initializer_values(graph, name)
        if signed.dtype != np.int8:
            continue
        unsigned = (signed.astype(np.int16) + _SIGNED_TO_UNSIGNED).astype(np.uint8)
        initializers[name].CopyFrom(numpy_helper.from_array(unsigned, name))
        changed += 1
    return changed


def share_quantizations(graph: onnx.ModelProto) -> None:
    """Quantizes a tensor once, in place, where it was quantized alike for each of its readers."""
    initializers = {tensor.name: tensor for tensor in graph.graph.initializer}
    first: dict[tuple[object, ...], onnx.NodeProto] = {}
    twins: dict[str, onnx.NodeProto] = {}
    for node in graph.graph.node:
        if node.op_type != "QuantizeLinear" or node.input[0] in initializers:
            continue
        values = [initializer_values(graph, name) for name in node.input[1:3]]
        key = (node.input[0], *((one.dtype, one.shape, one.tobytes()) for one in values))
        twins[node.output[0]] = first.setdefault(key, node)
    for node in graph.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in twins:
            original = twins[node.input[0]]
            node.input[:] = [original.output[0], *original.input[1:]]
    drop_dead_nodes(graph)
    drop_unused_initializers(graph)


def settle_products(
    graph: onnx.ModelProto, products: tuple[WeightProduct, ...], *, portable: bool
) -> None:
    """Names quantized weights after their modules, and writes products as ONNX Runtime runs them.

    Args:
        graph: Changed in place; what nothing reads any more goes.
        products: Those of the float graph that this one was made from.
        portable: Whether to keep to standard operators; only matrices ``[batch, in]`` are then
            rewritten, see `spelled_out_product`.
    """
    whole: dict[WeightProduct, tuple[tuple[str, str, str], tuple[str, str]]] = {}
    for product in products:
        pair = _pair_of(graph, product)
        if pair.weight is None:
            continue
        integers = product.weight + INTEGERS_SUFFIX
        _rename_initializer(graph, pair.weight[0], integers)
        if pair.activation is not None:
            whole[product] = pair.activation, (integers, pair.weight[1])
    additions = {} if portable else bias_additions(graph, tuple(whole))
    replacements: dict[str, list[onnx.NodeProto]] = {}
    for product, (activation, weight) in whole.items():
        if not portable:
            addition = additions.get(product.node)
            node = product_of_integers(graph, product, activation, weight, addition)
            replacements[product.node] = [node]
        elif rank_of(graph, product.tensor) == 2:
            replacements[product.node] = _spelled_out(graph, product, activation, weight)
    replacements |= {addition.name: [] for addition in additions.values()}
    replace_nodes(graph, replacements)
    drop_dead_nodes(graph)
    drop_unused_initializers(graph)
    if not portable:
        import_ort_domain(graph)


def quantize_weight(graph: onnx.ModelProto, product: WeightProduct) -> None:
    """Gives a float product an INT8 weight, in place; its activation stays in float.

    ONNX Runtime makes a ``MatMulNBits`` of it, which quantizes the activation by block as it comes.
    """
    from onnx import helper

    integers, scale = int8_weight(graph, product.weight)
    scales = add_initializer(graph, f"{product.weight}.scale", scale)
    zeros = add_initializer(
        graph, f"{product.weight}.zero_point", np.zeros(scale.shape, dtype=np.int8)
    )
    name = f"{product.weight}.dq"
    matmul = _node(graph, product)
    matmul.input[1] = name
    pair = helper.make_node("DequantizeLinear", [integers, scales, zeros], [name], name, axis=1)
    replace_nodes(graph, {product.node: [pair, matmul]})
    drop_unused_initializers(graph)


def without_pairs(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy without its pairs of ``QuantizeLinear`` and ``DequantizeLinear``."""
    copy = copy_of(graph)
    before = {
        node.output[0]: node.input[0]
        for node in copy.graph.node
        if node.op_type == "QuantizeLinear"
    }
    plain = {
        node.output[0]: before[node.input[0]]
        for node in copy.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in before
    }
    for node in copy.graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = plain.get(name, name)
    drop_dead_nodes(copy)
    drop_unused_initializers(copy)
    return copy


def _spelled_out(
    graph: onnx.ModelProto,
    product: WeightProduct,
    activation: tuple[str, str, str],
    weight: tuple[str, str],
) -> list[onnx.NodeProto]:
    values, scale, zero_point = activation
    integers, weight_scale = weight
    left, right = (
        cast("NDArray[np.float32]", initializer_values(graph, name))
        for name in (scale, weight_scale)
    )
    return spelled_out_product(
        product.node,
        (values, integers, zero_point),
        scales=add_initializer(graph, f"{product.weight}.product_scale", left * right),
        output=output_of(graph, product),
    )


def _rename_initializer(graph: onnx.ModelProto, old: str, new: str) -> None:
    for tensor in graph.graph.initializer:
        if tensor.name == old:
            tensor.name = new
    for node in graph.graph.node:
        for at, name in enumerate(node.input):
            if name == old:
                node.input[at] = new


def _pair_of(graph: onnx.ModelProto, product: WeightProduct) -> _Pair:
    makers = makers_of(graph)
    left, right = (makers.get(name) for name in _node(graph, product).input)
    activation = weight = None
    if left is not None and left.op_type == "DequantizeLinear":
        activation = left.input[0], left.input[1], left.input[2]
    if right is not None and right.op_type == "DequantizeLinear":
        weight = right.input[0], right.input[1]
    return _Pair(activation, weight)


def _node(graph: onnx.ModelProto, product: WeightProduct) -> onnx.NodeProto:
    found: onnx.NodeProto = next(n for n in graph.graph.node if n.name == product.node)
    return found
