"""The parts of a graph that quantization works on: weight products and embedding tables.

After `tidy` every product of an activation with a weight is a ``MatMul`` whose second input is an
initializer, and its node is called like the module it came from
(``bert.encoder.layer.0.attention.self.query``). Products of two activations (scores, context) are
inside ``Attention`` and never listed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertcompress.graph.edit import added_to

if TYPE_CHECKING:
    import onnx

FLOAT = 1
"""``onnx.TensorProto.FLOAT``."""

HEADS = ("classifier", "classifier.out_proj", "qa_outputs")
"""The tasks' own last products: a few thousand weights that decide the answer, left in float."""


@dataclass(frozen=True)
class WeightProduct:
    """One ``MatMul`` of an activation ``[…, in]`` with a float weight ``[in, out]``.

    Attributes:
        module: The module path it came from.
        node: The node's name, which is the module path too.
        tensor: The activation's name.
        weight: The initializer's name.
        bias: The name of the bias initializer added right after, if there is one.
    """

    module: str
    node: str
    tensor: str
    weight: str
    bias: str | None


@dataclass(frozen=True)
class EmbeddingTable:
    """One ``Gather`` of rows of a float table ``[rows, width]``."""

    node: str
    weight: str
    rows: int
    width: int


def weight_products(graph: onnx.ModelProto) -> tuple[WeightProduct, ...]:
    """Returns the float weight products in the graph's order."""
    floats = _float_matrices(graph)
    biases = {tensor.name for tensor in graph.graph.initializer if len(tensor.dims) == 1}
    bias_of = added_to(graph, biases)
    return tuple(
        WeightProduct(
            module=node.name,
            node=node.name,
            tensor=node.input[0],
            weight=node.input[1],
            bias=bias_of.get(node.output[0]),
        )
        for node in graph.graph.node
        if node.op_type == "MatMul" and node.input[1] in floats
    )


def embedding_tables(graph: onnx.ModelProto) -> tuple[EmbeddingTable, ...]:
    """Returns the float tables that rows are gathered from, in the graph's order."""
    floats = _float_matrices(graph)
    return tuple(
        EmbeddingTable(node.name, node.input[0], *floats[node.input[0]])
        for node in graph.graph.node
        if node.op_type == "Gather" and node.input[0] in floats
    )


def rank_of(graph: onnx.ModelProto, tensor: str) -> int | None:
    """Returns a tensor's number of axes, or None if the graph does not say."""
    for value in (*graph.graph.value_info, *graph.graph.input, *graph.graph.output):
        if value.name == tensor and value.type.tensor_type.HasField("shape"):
            return len(value.type.tensor_type.shape.dim)
    return None


def _float_matrices(graph: onnx.ModelProto) -> dict[str, tuple[int, int]]:
    return {
        tensor.name: (int(tensor.dims[0]), int(tensor.dims[1]))
        for tensor in graph.graph.initializer
        if tensor.data_type == FLOAT and len(tensor.dims) == 2
    }
