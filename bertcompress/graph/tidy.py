"""Turns an exporter's graph into ours.

1. Every product of an activation with a weight is a ``MatMul`` (a ``Gemm`` becomes ``MatMul`` and
   ``Add``), named after its module; its weight is called ``<module>.weight_t`` because it is stored
   ``[in, out]``, the transpose of torch's.
2. What the exporter wrote for its own debugging goes: stack traces with paths of the exporting
   machine, documentation strings, and the ``value_info`` of initializers, which makes ONNX
   Runtime's quantizers fail (``ShapeInferenceError … (64) vs (2)``). That of activations stays:
   without it ONNX Runtime can't prove that two shapes are equal and fuses no SkipLayerNorm.
3. Attention takes joined heads. The exporter splits heads by ``Reshape`` and ``Transpose`` before
   each ``Attention`` and joins them after it, eight operators a layer. From opset 23 on the
   operator takes ``[batch, sequence, heads * head_size]`` itself, given ``q_num_heads`` and
   ``kv_num_heads``: the same answers, to the bit, and 4 to 9 % less time on short texts
   (``docs/adr/0003-export-path.md``). The number of heads is each layer's own, read from the
   tensor's shape.
4. Initializers that nothing reads go.

Source: https://onnx.ai/onnx/operators/onnx__Attention.html
"""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from bertcompress.errors import ExportError
from bertcompress.graph.edit import (
    add_initializer,
    copy_of,
    drop_dead_nodes,
    drop_unused_initializers,
    initializer_values,
    makers_of,
    replace_nodes,
)
from bertcompress.graph.products import rank_of

if TYPE_CHECKING:
    import onnx

SCOPES_KEY = "pkg.torch.onnx.name_scopes"
"""Where the dynamo exporter keeps the module path of a node, innermost last."""

WEIGHT_SUFFIX = ".weight_t"
INTEGERS_SUFFIX = ".int8"
"""What quantize passes add to the name of a weight that they made integers."""

_SPLIT = [0, 2, 1, 3]
"""``[batch, sequence, heads, head_size]`` to ``[batch, heads, sequence, head_size]``, and back."""


def tidy(graph: onnx.ModelProto, *, root: str = "") -> onnx.ModelProto:
    """Returns a tidied copy.

    Args:
        graph: As an exporter wrote it.
        root: The first part of all module paths, which is left out (``"model."``).

    Raises:
        ExportError: If two products come from one module, so that names would not be unique.
    """
    tidied = copy_of(graph)
    split_gemms(tidied)
    _name_products(tidied, root)
    join_heads(tidied)
    drop_unused_initializers(tidied)
    strip(tidied)
    return tidied


def split_gemms(graph: onnx.ModelProto) -> None:
    """Makes a ``MatMul`` and an ``Add`` of each ``Gemm`` with a weight, in place."""
    from onnx import helper

    names = {tensor.name for tensor in graph.graph.initializer}
    replacements = {}
    for node in graph.graph.node:
        if node.op_type != "Gemm" or node.input[1] not in names:
            continue
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        scaled = attributes.get("alpha", 1.0) != 1.0 or attributes.get("beta", 1.0) != 1.0
        if scaled or attributes.get("transA", 0):
            continue
        weight = node.input[1]
        if attributes.get("transB", 0):
            values = np.ascontiguousarray(initializer_values(graph, weight).T)
            weight = add_initializer(graph, f"{node.name}.transposed", values)
        has_bias = len(node.input) > 2 and bool(node.input[2])  # a bias of zeros is optimised away
        output = f"{node.name}.product" if has_bias else node.output[0]
        product = helper.make_node(
            "MatMul", [node.input[0], weight], [output], f"{node.name}.matmul"
        )
        product.metadata_props.extend(node.metadata_props)
        if not has_bias:
            replacements[node.name] = [product]
            continue
        addition = helper.make_node(
            "Add", [product.output[0], node.input[2]], list(node.output), f"{node.name}.bias"
        )
        replacements[node.name] = [product, addition]
    replace_nodes(graph, replacements)


def _name_products(graph: onnx.ModelProto, root: str) -> None:
    weights = {tensor.name: tensor for tensor in graph.graph.initializer}
    taken: set[str] = set()
    for node in graph.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            continue
        module = module_of(node).removeprefix(root)
        if not module:
            continue
        if module in taken:
            raise ExportError(f"the exported graph has two weight products of the module {module}")
        taken.add(module)
        old, new = node.input[1], module + WEIGHT_SUFFIX
        node.name = module
        node.input[1] = new
        add_initializer(graph, new, initializer_values(graph, old))


def module_of(node: onnx.NodeProto) -> str:
    """Reads the module path from the dynamo exporter's metadata or TorchScript's node name."""
    metadata = {entry.key: entry.value for entry in node.metadata_props}
    if SCOPES_KEY in metadata:
        scopes = ast.literal_eval(metadata[SCOPES_KEY])
        return str(scopes[-2]) if len(scopes) > 1 else ""
    path = node.name.removesuffix(".matmul")
    return ".".join(path.strip("/").split("/")[:-1]) if path.startswith("/") else ""


def strip(graph: onnx.ModelProto) -> None:
    """Takes out what the exporter wrote for its own debugging, in place."""
    made = {name for node in graph.graph.node for name in node.output}
    kept = [value for value in graph.graph.value_info if value.name in made]
    del graph.graph.value_info[:]
    graph.graph.value_info.extend(kept)
    del graph.graph.metadata_props[:]
    del graph.metadata_props[:]
    graph.doc_string = graph.graph.doc_string = ""
    for node in graph.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    values = (*graph.graph.input, *graph.graph.output, *graph.graph.initializer)
    for value in (*values, *graph.graph.value_info):
        value.doc_string = ""
        del value.metadata_props[:]


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
