"""A graph for an older operator set: what came later is spelled out in operators that were there.

    operator             since   spelled out as
    Attention            23      two products and a softmax, see `attention_products`
    Gelu                 20      x / 2 * (1 + erf(x / sqrt(2)))
    LayerNormalization   17      (x - mean) / sqrt(mean((x - mean) ** 2) + epsilon) * scale + bias

An encoder's other operators are the same in all sets from 15 on; the checker, which knows each
operator in each set, is run over the result.

Source: https://onnx.ai/onnx/operators/ (Attention, Gelu, LayerNormalization: function bodies).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bertcompress.errors import ExportError
from bertcompress.graph.attention_products import attention_nodes, split_attention
from bertcompress.graph.edit import add_initializer, drop_unused_initializers, replace_nodes

if TYPE_CHECKING:
    import onnx


def opset_of(graph: onnx.ModelProto) -> int:
    """Returns the version of the standard operator set that a graph is written in."""
    return next(int(one.version) for one in graph.opset_import if one.domain in ("", "ai.onnx"))


def lower(graph: onnx.ModelProto, opset: int) -> None:
    """Rewrites a float32 graph for an operator set that is not newer than its own, in place.

    Raises:
        ExportError: If an operator of the graph can't be said in that set.
    """
    import onnx
    from onnx import helper

    if opset >= opset_of(graph):
        return
    if opset < 23:
        split_attention(graph, attention_nodes(graph))
    if opset < 20:
        _replace(graph, "Gelu", _gelu)
    if opset < 17:
        _replace(graph, "LayerNormalization", _layer_normalization)
    drop_unused_initializers(graph)
    for one in graph.opset_import:
        if one.domain in ("", "ai.onnx"):
            one.version = opset
    graph.ir_version = helper.find_min_ir_version_for(list(graph.opset_import))
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(
            f"this graph can't be said in opset {opset}: {str(error).strip().splitlines()[0]}"
        ) from error


def _replace(
    graph: onnx.ModelProto,
    kind: str,
    spelled_out: Callable[[onnx.ModelProto, onnx.NodeProto], list[onnx.NodeProto]],
) -> None:
    replace_nodes(
        graph,
        {node.name: spelled_out(graph, node) for node in graph.graph.node if node.op_type == kind},
    )


def _gelu(graph: onnx.ModelProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    from onnx import helper

    if any(one.name == "approximate" and one.s not in (b"", b"none") for one in node.attribute):
        raise ExportError(f"{node.name} is an approximated Gelu, which has no form before opset 20")
    name, source = node.name, node.input[0]
    root = add_initializer(graph, f"{name}.root", np.asarray(math.sqrt(2), np.float32))
    one = add_initializer(graph, f"{name}.one", np.asarray(1, np.float32))
    half = add_initializer(graph, f"{name}.half", np.asarray(0.5, np.float32))
    parts = {part: f"{name}.{part}" for part in ("divided", "erf", "shifted", "weight")}
    return [
        helper.make_node("Div", [source, root], [parts["divided"]], parts["divided"]),
        helper.make_node("Erf", [parts["divided"]], [parts["erf"]], parts["erf"]),
        helper.make_node("Add", [parts["erf"], one], [parts["shifted"]], parts["shifted"]),
        helper.make_node("Mul", [parts["shifted"], half], [parts["weight"]], parts["weight"]),
        helper.make_node("Mul", [source, parts["weight"]], [node.output[0]], name),
    ]


def _layer_normalization(graph: onnx.ModelProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    from onnx import helper

    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    axis = [int(attributes.get("axis", -1))]
    name, source = node.name, node.input[0]
    epsilon = np.asarray(attributes.get("epsilon", 1e-5), np.float32)
    small = add_initializer(graph, f"{name}.epsilon", epsilon)
    made: list[onnx.NodeProto] = []

    def add(kind: str, inputs: list[str], part: str, **settings: Any) -> str:
        output = f"{name}.{part}"
        made.append(helper.make_node(kind, inputs, [output], output, **settings))
        return output

    mean = add("ReduceMean", [source], "mean", axes=axis, keepdims=1)
    apart = add("Sub", [source, mean], "apart")
    squared = add("Mul", [apart, apart], "squared")
    variance = add("ReduceMean", [squared], "variance", axes=axis, keepdims=1)
    deviation = add("Sqrt", [add("Add", [variance, small], "positive")], "deviation")
    result = add("Mul", [add("Div", [apart, deviation], "normal"), node.input[1]], "scaled")
    if len(node.input) > 2:
        add("Add", [result, node.input[2]], "shifted")
    made[-1].output[0] = node.output[0]
    return made
