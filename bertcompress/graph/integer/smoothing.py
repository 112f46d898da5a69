"""Where SmoothQuant costs nothing: from the output projection of attention into the values.

What attention puts out is a mean of its values, channel by channel, so dividing a channel of the
value projection divides the same channel of the output projection's input::

    V = x W_v + b_v,  y = (P V) W_o    is    V' = x (W_v / s) + b_v / s,  y = (P V') (diag(s) W_o)

No other product of an encoder with LayerNorm after the addition has such a place: what LayerNorm
puts out is also the residual, and GELU does not pass a factor through.

Source: Wei et al. 2022, Outlier Suppression, arXiv:2209.13325, section 4.1, for why not elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.graph.attention_products import attention_nodes
from bertcompress.graph.edit import initializer_values, set_initializer
from bertcompress.graph.products import WeightProduct, weight_products

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class ValuePair:
    """A value projection, and the output projection that reads what attention makes of it."""

    value: WeightProduct
    output: WeightProduct


def value_pairs(graph: onnx.ModelProto) -> tuple[ValuePair, ...]:
    """Returns the pairs that a scale can be moved between, in the graph's order.

    A pair whose values or whose attention anything else reads is left out.

    Raises:
        ExportError: As `bertcompress.graph.attention_products.attention_nodes`.
    """
    products = weight_products(graph)
    readers: dict[str, int] = {}
    for node in graph.graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    outputs = {node.name: str(node.output[0]) for node in graph.graph.node}
    sums = {
        str(name): str(node.output[0])
        for node in graph.graph.node
        if node.op_type == "Add"
        for name in node.input
    }
    by_result = {sums.get(outputs[one.node]): one for one in products if one.bias is not None}
    by_input = {one.tensor: one for one in products}
    pairs = []
    for attention in attention_nodes(graph):
        context = outputs[attention.node]
        value, output = by_result.get(attention.value), by_input.get(context)
        alone = readers.get(attention.value) == 1 and readers.get(context) == 1
        if value is not None and output is not None and alone:
            pairs.append(ValuePair(value, output))
    return tuple(pairs)


def fold_scales(graph: onnx.ModelProto, pairs: Mapping[ValuePair, NDArray[np.float32]]) -> None:
    """Divides each pair's values and multiplies the rows of its output projection, in place.

    Args:
        graph: Has the pairs.
        pairs: What each channel between the two is divided by, float32 ``[in of the output
            projection]``, above 0.
    """
    for pair, scales in pairs.items():
        assert pair.value.bias is not None  # `value_pairs` takes no other
        for name in (pair.value.weight, pair.value.bias):
            set_initializer(graph, name, _floats(graph, name) / scales)
        rows = _floats(graph, pair.output.weight)
        set_initializer(graph, pair.output.weight, rows * scales[:, None])


def _floats(graph: onnx.ModelProto, name: str) -> NDArray[np.float32]:
    return cast("NDArray[np.float32]", initializer_values(graph, name))
