"""Attention spelled out: two products of activations with a softmax between them.

TensorRT parses the standard's operator ``Attention`` since version 10.14. Older versions take its
parts and fuse them by their pattern; quantized products of activations can only be said in parts::

    Q [b, s, h d] -> [b, h, s, d] * scale ─┐
    K [b, s, h d] -> [b, h, d, s] ─────────┴ MatMul + mask -> Softmax ┐
    V [b, s, h d] -> [b, h, s, d] ────────────────────────────────────┴ MatMul -> [b, s, h d]

The scale multiplies Q, before the first product: the scores stay small in half precision, and it
is where TensorRT's fusion wants it. The mask is added, made once for all layers: 0 where a token
may be seen and -30 000 where not. That is finite in half precision together with any score, and
``exp`` of it is 0; minus infinity would make NaN out of a row that sees nothing.

Source: https://onnx.ai/onnx/operators/onnx__Attention.html,
https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/transformers-fused-attention.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import ExportError
from bertcompress.graph.edit import (
    add_initializer,
    drop_dead_nodes,
    drop_unused_initializers,
    makers_of,
    replace_nodes,
)

if TYPE_CHECKING:
    import onnx

HIDDEN = -3e4
"""What is added to the score of a token that may not be seen."""

Operand = Callable[[str, str], tuple[Sequence["onnx.NodeProto"], str]]
"""Takes an operand's name in `AttentionNode.operands` and its tensor; gives nodes and a tensor."""


@dataclass(frozen=True)
class AttentionNode:
    """One ``Attention`` over joined heads.

    Attributes:
        node: The node's name.
        query: ``[batch, sequence, heads * head_size]``.
        key: The same.
        value: The same.
        mask: Boolean or float, broadcastable to ``[batch, heads, sequence, sequence]``, or None.
        heads: The number of heads.
        scale: Multiplies the scores.
        head_size: The width of one head.
    """

    node: str
    query: str
    key: str
    value: str
    mask: str | None
    heads: int
    scale: float
    head_size: int


@dataclass(frozen=True)
class AttentionOperand:
    """What a product of activations multiplies: the output of a projection, bias added.

    Attributes:
        module: The projection's module path and ``:out``, the key of its range in a table.
        tensor: Its name in the graph.
        width: Its last axis.
    """

    module: str
    tensor: str
    width: int


def attention_operands(graph: onnx.ModelProto) -> tuple[AttentionOperand, ...]:
    """Returns query, key and value of every ``Attention``, in the graph's order.

    Raises:
        ExportError: As `attention_nodes`.
    """
    tensors = [name for one in attention_nodes(graph) for name in (one.query, one.key, one.value)]
    makers = makers_of(graph)
    return tuple(
        AttentionOperand(f"{projection_of(makers, name).name}:out", name, _width(graph, name))
        for name in tensors
    )


def projection_of(makers: Mapping[str, onnx.NodeProto], tensor: str) -> onnx.NodeProto:
    """Returns the weight product that an attention's query, key or value comes from."""
    node = makers[tensor]
    while node.op_type != "MatMul":
        node = next(makers[name] for name in node.input if name in makers)
    return node


def attention_nodes(graph: onnx.ModelProto) -> tuple[AttentionNode, ...]:
    """Returns the ``Attention`` operators in the graph's order.

    Raises:
        ExportError: If one has other inputs or attributes than our exports have.
    """
    return tuple(_read(graph, node) for node in graph.graph.node if node.op_type == "Attention")


def split_attention(
    graph: onnx.ModelProto,
    nodes: Sequence[AttentionNode],
    operand: Operand | None = None,
) -> None:
    """Puts products in the place of ``Attention`` operators, in place.

    Args:
        graph: Has them.
        nodes: Which ones.
        operand: Is asked for each operand of the two products (``query``, ``key``,
            ``probabilities``, ``value`` after the name of the node and a dot) and may put nodes
            before it; None leaves them alone.
    """
    outputs = {node.name: str(node.output[0]) for node in graph.graph.node}
    masks: dict[str, str] = {}
    replacements = {}
    for one in nodes:
        mask_nodes, mask = _mask(graph, one.mask, masks) if one.mask else ([], None)
        products = _products(graph, one, mask, outputs[one.node], operand or _unchanged)
        replacements[one.node] = [*mask_nodes, *products]
    replace_nodes(graph, replacements)
    drop_dead_nodes(graph)
    drop_unused_initializers(graph)


def _unchanged(name: str, tensor: str) -> tuple[Sequence[onnx.NodeProto], str]:
    return (), tensor


def _read(graph: onnx.ModelProto, node: onnx.NodeProto) -> AttentionNode:
    from onnx import helper

    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    heads = int(attributes.get("q_num_heads", 0))
    width = _width(graph, node.input[0])
    plain = not attributes.get("is_causal", 0) and not attributes.get("softcap", 0.0)
    if not (heads and width and plain and heads == attributes.get("kv_num_heads")):
        raise ExportError(
            f"{node.name} is not attention as this tool exports it (joined heads, each with its "
            "own key, no causal mask); export the model again with bertcompress"
        )
    size = width // heads
    return AttentionNode(
        node=node.name,
        query=node.input[0],
        key=node.input[1],
        value=node.input[2],
        mask=node.input[3] if len(node.input) > 3 and node.input[3] else None,
        heads=heads,
        scale=float(attributes.get("scale", 1 / math.sqrt(size))),
        head_size=size,
    )


def _width(graph: onnx.ModelProto, tensor: str) -> int:
    for value in graph.graph.value_info:
        axes = value.type.tensor_type.shape.dim
        if value.name == tensor and len(axes) == 3:
            return int(axes[2].dim_value)
    return 0


def _mask(
    graph: onnx.ModelProto, mask: str, made: dict[str, str]
) -> tuple[list[onnx.NodeProto], str]:
    """Returns what is added to the scores, and the nodes that make it if it is new."""
    from onnx import helper

    if mask in made:
        return [], made[mask]
    makers = makers_of(graph)
    expanded = makers.get(mask)
    source = expanded.input[0] if expanded is not None and expanded.op_type == "Expand" else mask
    seen = add_initializer(graph, f"{mask}.seen", np.zeros((), np.float32))
    hidden = add_initializer(graph, f"{mask}.hidden", np.asarray(HIDDEN, np.float32))
    made[mask] = f"{mask}.added"
    node = helper.make_node("Where", [source, seen, hidden], [made[mask]], made[mask])
    return [node], made[mask]


def _products(
    graph: onnx.ModelProto,
    one: AttentionNode,
    mask: str | None,
    output: str,
    operand: Operand,
) -> list[onnx.NodeProto]:
    nodes: list[onnx.NodeProto] = []

    def add(kind: str, inputs: Sequence[str], part: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"{one.node}.{part}"
        nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def asked(part: str, tensor: str) -> str:
        before, name = operand(f"{one.node}.{part}", tensor)
        nodes.extend(before)
        return name

    def constant(part: str, values: NDArray[np.generic]) -> str:
        return add_initializer(graph, f"{one.node}.{part}", values)

    split = constant("split", np.asarray([0, 0, one.heads, one.head_size]))
    query = add("Reshape", [one.query, split], "query.heads")
    query = add("Transpose", [query], "query.split", perm=[0, 2, 1, 3])
    query = add(
        "Mul", [query, constant("scale", np.asarray(one.scale, np.float32))], "query.scaled"
    )
    key = add("Reshape", [one.key, split], "key.heads")
    key = add("Transpose", [key], "key.split", perm=[0, 2, 3, 1])
    scores = add("MatMul", [asked("query", query), asked("key", key)], "scores")
    if mask is not None:
        scores = add("Add", [scores, mask], "scores.masked")
    probabilities = asked("probabilities", add("Softmax", [scores], "softmax", axis=-1))
    value = add("Reshape", [one.value, split], "value.heads")
    value = asked("value", add("Transpose", [value], "value.split", perm=[0, 2, 1, 3]))
    context = add("MatMul", [probabilities, value], "context")
    joined = add("Transpose", [context], "context.split", perm=[0, 2, 1, 3])
    add("Reshape", [joined, constant("join", np.asarray([0, 0, -1]))], "context.joined")
    nodes[-1].output[0] = output
    return nodes
