"""Attention without the transposes around it.

The exporter splits heads by ``Reshape`` and ``Transpose`` before each ``Attention`` and joins them
after it, eight operators a layer. From opset 23 on the operator takes ``[batch, sequence, heads *
head_size]`` itself, given ``q_num_heads`` and ``kv_num_heads``: the same answers, to the bit, and 4
to 9 % less time on short texts (``docs/adr/0003-export-path.md``). The number of heads is each
layer's own, read from the tensor's shape.

Source: https://onnx.ai/onnx/operators/onnx__Attention.html
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bertcompress.graph.edit import drop_dead_nodes, makers_of
from bertcompress.graph.products import rank_of

if TYPE_CHECKING:
    import onnx

_SPLIT = [0, 2, 1, 3]
"""``[batch, sequence, heads, head_size]`` to ``[batch, heads, sequence, head_size]``, and back."""


def join_heads(graph: onnx.ModelProto) -> int:
    """Gives every `Attention` its joined tensors, in place; returns how many were changed.

    One whose surroundings are not as the exporter writes them is left as it is.
    """
    changed = sum(_join(graph, node) for node in graph.graph.node if node.op_type == "Attention")
    drop_dead_nodes(graph)
    return changed


def _join(graph: onnx.ModelProto, attention: onnx.NodeProto) -> bool:
    from onnx import helper

    makers = makers_of(graph)
    uses = Counter(name for node in graph.graph.node for name in node.input)
    heads = [_heads_of(graph, name) for name in attention.input[:3]]
    joined = [_before_split(makers, uses, name) for name in attention.input[:3]]
    after = _after_join(graph, attention.output[0])
    if None in heads or None in joined or after is None or uses[attention.output[0]] != 1:
        return False
    for at, name in enumerate(joined):
        attention.input[at] = name
    for node in graph.graph.node:  # the joined output now comes from here
        if after in node.output:
            node.output[0] = f"{after}.unused"
    attention.output[0] = after
    attention.attribute.append(helper.make_attribute("q_num_heads", heads[0]))
    attention.attribute.append(helper.make_attribute("kv_num_heads", heads[1]))
    return True


def _heads_of(graph: onnx.ModelProto, tensor: str) -> int | None:
    """Reads the heads of ``[batch, heads, sequence, head_size]`` from the graph's shapes."""
    for value in graph.graph.value_info:
        axes = value.type.tensor_type.shape.dim
        if value.name == tensor and len(axes) == 4 and axes[1].HasField("dim_value"):
            return int(axes[1].dim_value)
    return None


def _before_split(makers: dict[str, onnx.NodeProto], uses: Counter[str], tensor: str) -> str | None:
    transpose = makers.get(tensor)
    if transpose is None or not _is_split(transpose) or uses[tensor] != 1:
        return None
    reshape = makers.get(transpose.input[0])
    if reshape is None or reshape.op_type != "Reshape" or uses[transpose.input[0]] != 1:
        return None
    return str(reshape.input[0])


def _after_join(graph: onnx.ModelProto, tensor: str) -> str | None:
    """Follows the output through what joins its heads and returns the first with three axes.

    That is a transpose and a reshape; for a single head the exporter may write reshapes alone.
    """
    readers = [node for node in graph.graph.node if node.input and node.input[0] == tensor]
    if len(readers) != 1 or not (readers[0].op_type == "Reshape" or _is_split(readers[0])):
        return None
    output = str(readers[0].output[0])
    return output if rank_of(graph, output) == 3 else _after_join(graph, output)


def _is_split(node: onnx.NodeProto) -> bool:
    return node.op_type == "Transpose" and any(
        list(attribute.ints) == _SPLIT for attribute in node.attribute if attribute.name == "perm"
    )
