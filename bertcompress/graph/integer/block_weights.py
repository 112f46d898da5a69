"""Puts weights in blocks into a graph: ``MatMulNBits`` for products, ``GatherBlockQuantized``.

Scales are stored as float16 and turned to float32 by a ``Cast`` of the constant, which ONNX Runtime
does once while it loads: the kernel takes scales of its activation's type only. A table's rows come
out as float16 and are cast after; nothing of the table is ever expanded.

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bertcompress.graph.edit import ORT_DOMAIN, add_initializer
from bertcompress.numerics.blocks import BlockFormat, BlockWeights, Floats, pack_bits

if TYPE_CHECKING:
    import onnx

    from bertcompress.graph.products import EmbeddingTable, WeightProduct

INT8_ARITHMETIC = 4
"""The product's accuracy level: activations are quantized to INT8 by block as they come."""


def block_product(
    graph: onnx.ModelProto,
    product: WeightProduct,
    weights: BlockWeights,
    *,
    divisors: Floats | None = None,
) -> list[onnx.NodeProto]:
    """Adds a product's weight and returns the nodes that stand for its MatMul.

    Args:
        graph: Gets the initializers.
        product: Which.
        weights: ``[out, in]`` in blocks.
        divisors: What the input's channels are divided by first, ``[in]``.
    """
    from onnx import TensorProto, helper

    name, format_ = product.weight, weights.format
    (node,) = (one for one in graph.graph.node if one.name == product.node)
    nodes, activation = [], str(node.input[0])
    if divisors is not None:
        factors = add_initializer(graph, f"{name}.channels", 1 / divisors)
        activation = f"{product.node}.scaled"
        nodes = [helper.make_node("Mul", [node.input[0], factors], [activation], activation)]
    integers = add_initializer(graph, f"{name}.q", pack_bits(weights.integers, format_.bits))
    half = add_initializer(graph, f"{name}.scale", weights.scales.astype(np.float16))
    scales = f"{name}.scale32"
    zero_points = []
    if not format_.symmetric:
        packed = pack_bits(weights.zero_points, format_.bits)
        zero_points = [add_initializer(graph, f"{name}.zero_point", packed)]
    rows, _, _ = weights.integers.shape
    return [
        *nodes,
        helper.make_node("Cast", [half], [scales], scales, to=TensorProto.FLOAT),
        helper.make_node(
            "MatMulNBits",
            [activation, integers, scales, *zero_points],
            [node.output[0]],
            product.node,
            domain=ORT_DOMAIN,
            K=weights.columns,
            N=rows,
            bits=format_.bits,
            block_size=format_.block_size,
            accuracy_level=INT8_ARITHMETIC,
        ),
    ]


def block_gather(
    graph: onnx.ModelProto, table: EmbeddingTable, weights: BlockWeights
) -> list[onnx.NodeProto]:
    """Adds a table ``[rows, width]`` in blocks and returns the nodes that stand for its Gather."""
    from onnx import TensorProto, helper

    name, format_ = table.weight, weights.format
    flat = weights.integers.reshape(table.rows, -1)[:, : weights.columns]
    integers = _add_integers(graph, f"{name}.q", flat, format_)
    scales = add_initializer(graph, f"{name}.scale", weights.scales.astype(np.float16))
    zero_points = []
    if not format_.symmetric:
        found = weights.zero_points
        zero_points = [_add_integers(graph, f"{name}.zero_point", found, format_)]
    (node,) = (one for one in graph.graph.node if one.name == table.node)
    half = f"{table.node}.half"
    return [
        helper.make_node(
            "GatherBlockQuantized",
            [integers, node.input[1], scales, *zero_points],
            [half],
            f"{table.node}.rows",
            domain=ORT_DOMAIN,
            bits=format_.bits,
            block_size=format_.block_size,
            gather_axis=0,
            quantize_axis=1,
        ),
        helper.make_node("Cast", [half], [node.output[0]], table.node, to=TensorProto.FLOAT),
    ]


def _add_integers(
    graph: onnx.ModelProto, name: str, integers: NDArray[np.uint8], format_: BlockFormat
) -> str:
    """Adds a table's integers: INT4 around 0 if symmetric, UINT4 if not, else UINT8 around 128."""
    from onnx import TensorProto, helper

    if format_.bits == 8:
        return add_initializer(graph, name, integers)
    kind, values = TensorProto.UINT4, integers
    if format_.symmetric:
        kind, values = TensorProto.INT4, integers ^ np.uint8(format_.middle)  # two's complement
    packed = pack_bits(values.reshape(-1), format_.bits).tobytes()
    tensor = helper.make_tensor(name, kind, integers.shape, packed, raw=True)
    graph.graph.initializer.append(tensor)
    return name
