"""The same answers in the operators that ONNX Runtime is fast at.

Quantizing starts from this graph: what it leaves in float is then most of what is left to run.

**The first token.** A classifier reads the first token of the last layer. That layer's queries, its
attention output and its feed-forward part are then needed for one token; only keys and values are
needed for all. The exported graph computes every token and drops them at the end. Here the
selection moves up through the operators that treat each token alone, to where a tensor is needed
whole: in a model of six layers 5/36 of all weight products' operations go, and the answers are the
same. The query axis of an attention's mask moves with it, where the mask has one of its own.

**Residuals.** ONNX Runtime's fused operator ``SkipLayerNormalization`` is a scalar loop on the CPU:
of a MiniLM's time at 128 tokens it takes a fifth, three times as much as the addition and the
vectorized ``LayerNormalization`` alone. It is made of ``Add`` only, so the addition before a
LayerNormalization is spelled ``Sum``, which means the same.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from bertcompress.graph.edit import add_initializer, copy_of, drop_dead_nodes, initializer_values
from bertcompress.graph.products import rank_of

if TYPE_CHECKING:
    import onnx

_TOKENS, _QUERIES = 1, 2
"""The axis of tokens in ``[batch, sequence, width]``; of queries in a mask of four axes."""
_BY_TOKEN = ("Add", "Sum", "LayerNormalization", "Gelu", "Tanh", "MatMul")
"""Operators whose result for one token depends on no other token."""


def shaped_for_onnxruntime(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy of a float graph that computes no token in vain and adds residuals apart."""
    shaped = copy_of(graph)
    only_first_token(shaped)
    keep_residuals_apart(shaped)
    return shaped


def only_first_token(graph: onnx.ModelProto) -> int:
    """Moves a selection of the first token up, in place; returns how many operators shrank.

    Nothing changes if the last hidden states are read in another way too.
    """
    select = _selection(graph)
    if select is None:
        return 0
    constants = {tensor.name for tensor in graph.graph.initializer}
    outputs = {value.name for value in graph.graph.output}
    readers: dict[str, int] = defaultdict(int)
    for node in graph.graph.node:
        for name in node.input:
            readers[name] += 1
    wanting: dict[str, list[onnx.NodeProto]] = defaultdict(list, {select.input[0]: [select]})
    shrunk: list[onnx.NodeProto] = []
    for node in reversed(list(graph.graph.node)):
        result = node.output[0]
        whole = result in outputs or len(wanting[result]) != readers[result]
        tensors = _tensors_by_token(graph, node, constants)
        if not wanting[result] or whole or tensors is None:
            continue
        shrunk.append(node)
        for name in tensors:
            wanting[name].append(node)
    if not shrunk:
        return 0
    _cut(graph, select, shrunk, wanting, constants)
    drop_dead_nodes(graph)
    return len(shrunk)


def keep_residuals_apart(graph: onnx.ModelProto) -> int:
    """Turns each ``Add`` of two activations before a LayerNormalization into a ``Sum``, in place.

    Returns:
        How many there were.
    """
    constants = {tensor.name for tensor in graph.graph.initializer}
    normalized = {n.input[0] for n in graph.graph.node if n.op_type == "LayerNormalization"}
    found = [
        node
        for node in graph.graph.node
        if node.op_type == "Add"
        and node.output[0] in normalized
        and not constants.intersection(node.input)
    ]
    for node in found:
        node.op_type = "Sum"
    return len(found)


def _selection(graph: onnx.ModelProto) -> onnx.NodeProto | None:
    """Returns the one ``Gather`` of index 0 on the token axis of three, if there is one."""
    found = []
    for node in graph.graph.node:
        if node.op_type == "Gather" and rank_of(graph, node.input[0]) == 3:
            axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
            if axis == _TOKENS and _is_zero(graph, node.input[1]):
                found.append(node)
    return found[0] if len(found) == 1 else None


def _is_zero(graph: onnx.ModelProto, name: str) -> bool:
    try:
        values = initializer_values(graph, name)
    except KeyError:
        return False
    return values.ndim == 0 and int(values) == 0


def _tensors_by_token(
    graph: onnx.ModelProto, node: onnx.NodeProto, constants: set[str]
) -> list[str] | None:
    """Returns the inputs of which one token is enough for one token of the output, or None."""
    if node.op_type == "Attention":
        joined = any(one.name == "q_num_heads" for one in node.attribute)
        return [node.input[0]] if joined and len(node.output) == 1 else None
    if node.op_type not in _BY_TOKEN:
        return None
    tensors = [name for name in node.input if name not in constants]
    if node.op_type == "MatMul" and tensors != [node.input[0]]:
        return None
    return tensors if all(rank_of(graph, name) == 3 for name in tensors) else None


def _cut(
    graph: onnx.ModelProto,
    select: onnx.NodeProto,
    shrunk: list[onnx.NodeProto],
    wanting: dict[str, list[onnx.NodeProto]],
    constants: set[str],
) -> None:
    """Puts a slice where a whole tensor meets an operator that shrank, and mends the shapes."""
    results = {node.output[0] for node in shrunk}
    new: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for name in [name for name in wanting if wanting[name] and name not in results]:
        for node in wanting[name]:
            if node is not select:
                _reroute(node, name, f"{name}.first")
        new[name].append(_slice(graph, name, f"{name}.first", _TOKENS))
    for node in shrunk:
        if node.op_type == "Attention" and len(node.input) > 3 and node.input[3]:
            mask = node.input[3]
            if mask in constants or rank_of(graph, mask) != 4:
                continue
            new[mask].append(_slice(graph, mask, f"{node.name}.mask", _QUERIES))
            node.input[3] = f"{node.name}.mask"
    nodes: list[onnx.NodeProto] = []
    for value in graph.graph.input:
        nodes += new.get(value.name, [])
    for node in graph.graph.node:
        nodes.append(node)
        nodes += [one for output in node.output for one in new.get(output, [])]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    _mend_shapes(graph, results, {name for name in new if rank_of(graph, name) == 3})


def _mend_shapes(graph: onnx.ModelProto, shrunk: set[str], sliced: set[str]) -> None:
    """Writes one token into the shapes of what shrank, and shapes for the slices."""
    for value in list(graph.graph.value_info):
        if value.name in sliced:
            one = graph.graph.value_info.add()
            one.CopyFrom(value)
            one.name = f"{value.name}.first"
        elif value.name in shrunk:
            one = value
        else:
            continue
        one.type.tensor_type.shape.dim[_TOKENS].Clear()
        one.type.tensor_type.shape.dim[_TOKENS].dim_value = 1


def _reroute(node: onnx.NodeProto, old: str, new: str) -> None:
    """Reads another tensor where one token is enough: an attention's query alone."""
    for at in range(1 if node.op_type == "Attention" else len(node.input)):
        if node.input[at] == old:
            node.input[at] = new


def _slice(graph: onnx.ModelProto, source: str, target: str, axis: int) -> onnx.NodeProto:
    from onnx import helper

    known = {tensor.name for tensor in graph.graph.initializer}
    ends = []
    for what, value in (("start", 0), ("end", 1), ("axis", axis)):
        name = f"first_token.{what}.{value}"
        if name not in known:
            add_initializer(graph, name, np.array([value], dtype=np.int64))
        ends.append(name)
    return helper.make_node("Slice", [source, *ends], [target], f"{target}.slice")
