"""Gives the graph of another exporter the form of ours, so that every pass reads it.

TorchScript's exporter, Optimum and the graphs on hubs say the same in other words:

* constants are ``Constant`` nodes, and weights go through ``Identity`` or ``Transpose``: all become
  initializers, as they are;
* a product's node is called ``/bert/encoder/layer.0/…/MatMul``, ``node_linear_3`` or nothing at
  all: it is named after its module, which its path, its weight or its bias tells, else it keeps a
  name of its own;
* what `bertcompress.graph.tidy` does to our own exports is done: ``Gemm`` becomes ``MatMul`` and
  ``Add``, heads are joined;
* inputs and outputs get our names; positions that the caller should count and segments that its
  family does not use are made in the graph. Types and sizes stay as declared: the runtime feeds
  them so (`bertcompress.runtimes.fitting`);
* shapes are inferred, which TorchScript leaves out.

The answers stay: nothing is computed in another way.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from bertcompress.graph.edit import (
    add_initializer,
    added_to,
    copy_of,
    drop_dead_nodes,
    drop_unused_initializers,
    initializer_values,
)
from bertcompress.graph.signature import (
    INPUT_IDS,
    POSITIONS,
    SEGMENTS,
    check_inputs,
    check_outputs,
    with_names,
)
from bertcompress.graph.tidy import WEIGHT_SUFFIX, join_heads, module_of, split_gemms, strip

if TYPE_CHECKING:
    import onnx

_MODULE = re.compile(r"([A-Za-z_]\w*(?:\.\w+)+)\.(?:weight|bias)(?:_\w+)?")
"""A weight that still has torch's name, with what a quantizer or an optimizer added to its end."""
_LAYERS = re.compile(r"^(.*?)(?:\w+\.)?(?:encoder|transformer)\.layer\.\d+\.")


def normal_form(
    graph: onnx.ModelProto,
    *,
    name: str,
    task: str,
    segments: bool = True,
    first_position: int = 0,
) -> onnx.ModelProto:
    """Returns a copy in our form.

    Args:
        graph: As another tool wrote it, with its weights.
        name: What messages call it.
        task: What it does.
        segments: Whether the model's family uses segments.
        first_position: The number of the first token's position.

    Raises:
        LoadError: It is not known what an input or an output is.
    """
    ours = copy_of(graph)
    roles = check_inputs([value.name for value in _inputs(ours)], name)
    outputs = check_outputs(task, [value.name for value in ours.graph.output], name)
    _name_nodes(ours)
    _fold_constants(ours)
    with_names(ours, {**roles, **outputs})
    _make_inputs(ours, segments=segments, first_position=first_position)
    split_gemms(ours)
    _name_products(ours)
    _infer_shapes(ours)
    join_heads(ours)
    drop_dead_nodes(ours)
    drop_unused_initializers(ours)
    strip(ours)
    return ours


def _inputs(graph: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Returns the inputs that a caller gives: old graphs list their weights among them."""
    weights = {tensor.name for tensor in graph.graph.initializer}
    given = [value for value in graph.graph.input if value.name not in weights]
    del graph.graph.input[:]
    graph.graph.input.extend(given)
    return given


def _name_nodes(graph: onnx.ModelProto) -> None:
    """Gives each node a name of its own: edits find nodes by it."""
    taken: Counter[str] = Counter()
    for at, node in enumerate(graph.graph.node):
        name = node.name or f"{node.op_type}.{at}"
        taken[name] += 1
        node.name = name if taken[name] == 1 else f"{name}.again{taken[name]}"


def _fold_constants(graph: onnx.ModelProto) -> None:
    """Makes initializers of constants, and of weights that are only passed on or transposed."""
    from onnx import helper, numpy_helper

    known = {tensor.name for tensor in graph.graph.initializer}
    kept = []
    for node in graph.graph.node:
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        if node.op_type == "Constant" and "value" in attributes:
            add_initializer(graph, node.output[0], numpy_helper.to_array(attributes["value"]))
        elif node.op_type == "Constant" and attributes.keys() <= _NUMBERS.keys():
            [(kind, value)] = attributes.items()
            add_initializer(graph, node.output[0], np.asarray(value, _NUMBERS[kind]))
        elif node.op_type in ("Identity", "Transpose") and node.input[0] in known:
            values = initializer_values(graph, node.input[0])
            if node.op_type == "Transpose":
                values = np.ascontiguousarray(values.transpose(attributes.get("perm")))
            add_initializer(graph, node.output[0], values)
        else:
            kept.append(node)
            continue
        known.add(node.output[0])
    given = {value.name for value in graph.graph.output}
    if given & known:
        return  # an output that is a constant is no encoder's; leave the graph to its runtime
    del graph.graph.node[:]
    graph.graph.node.extend(kept)


_NUMBERS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def _make_inputs(graph: onnx.ModelProto, *, segments: bool, first_position: int) -> None:
    """Makes positions, and segments that nobody gives, from the ids."""
    from onnx import helper

    given = {value.name: value for value in graph.graph.input}
    wanted = [name for name in (POSITIONS, *(() if segments else (SEGMENTS,))) if name in given]
    if not wanted:
        return
    ids = given[INPUT_IDS].type.tensor_type.elem_type
    kind = helper.tensor_dtype_to_np_dtype(ids)
    zeros = helper.make_node("Sub", [INPUT_IDS, INPUT_IDS], ["made.zeros"], "made.zeros")
    nodes = [zeros]
    for name in wanted:
        values = "made.zeros"
        if name == POSITIONS:
            one = add_initializer(graph, "made.one", np.asarray(1, kind))
            axis = add_initializer(graph, "made.axis", np.asarray(1, np.int64))
            first = add_initializer(graph, "made.first", np.asarray(first_position - 1, kind))
            nodes += [
                helper.make_node("Add", [values, one], ["made.ones"], "made.ones"),
                helper.make_node("CumSum", ["made.ones", axis], ["made.counts"], "made.counts"),
                helper.make_node("Add", ["made.counts", first], ["made.places"], "made.places"),
            ]
            values = "made.places"
        to = given[name].type.tensor_type.elem_type
        nodes.append(helper.make_node("Cast", [values], [name], f"made.{name}", to=to))
        graph.graph.input.remove(given[name])
    rest = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*nodes, *rest])


def _name_products(graph: onnx.ModelProto) -> None:
    """Names each product and its weight after its module, as far as that can be told."""
    weights = {tensor.name for tensor in graph.graph.initializer if len(tensor.dims) == 2}
    biases = added_to(graph, {tensor.name for tensor in graph.graph.initializer})
    products = [
        node
        for node in graph.graph.node
        if node.op_type == "MatMul" and node.input[1] in weights and node.input[0] not in weights
    ]
    names = {
        node.name: module_of(node)
        or _of_tensor(node.input[1])
        or _of_tensor(biases.get(node.output[0], ""))
        for node in products
    }
    root = _root_of([name for name in names.values() if name])
    taken = {node.name for node in graph.graph.node} - names.keys()
    for node in products:
        module = names[node.name].removeprefix(root) or node.name
        while module in taken:
            module += ".again"
        taken.add(module)
        add_initializer(graph, module + WEIGHT_SUFFIX, initializer_values(graph, node.input[1]))
        node.name, node.input[1] = module, module + WEIGHT_SUFFIX


def _of_tensor(name: str) -> str:
    match = _MODULE.fullmatch(name)
    return match[1] if match is not None else ""


def _root_of(modules: list[str]) -> str:
    """Returns what stands before all module paths, where a model was wrapped to be exported.

    >>> _root_of(["net.bert.encoder.layer.0.output.dense", "net.classifier"])
    'net.'
    """
    matches = (_LAYERS.match(module) for module in modules)
    roots = {match[1] for match in matches if match is not None}
    root = roots.pop() if len(roots) == 1 else ""
    return root if root and all(module.startswith(root) for module in modules) else ""


def _infer_shapes(graph: onnx.ModelProto) -> None:
    """Writes the shapes of activations into the graph, in place, where they can be told."""
    import onnx

    bare = onnx.ModelProto()
    bare.CopyFrom(graph)
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
    except (RuntimeError, ValueError):  # above 2 GiB, or an operator that ONNX does not know
        return
    del graph.graph.value_info[:]
    graph.graph.value_info.extend(inferred.graph.value_info)
