"""The lint's rules about the graph as a whole: operators, types, and sums in half precision.

Source: https://docs.nvidia.com/deeplearning/tensorrt/latest/reference/onnx-opset-guide.html,
https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/precision-control.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bertcompress.graph.tensorrt.lint_facts import (
    BFLOAT16,
    FLOAT,
    FLOAT16,
    QUANTIZED,
    Facts,
    Finding,
)
from bertcompress.graph.tensorrt.lower import opset_of
from bertcompress.graph.tensorrt.target import OLDEST_OPSET

if TYPE_CHECKING:
    import onnx

_SUMS = ("ReduceMean", "ReduceSum", "Pow")
"""What a LayerNormalization is spelled out with; half precision overflows in it."""


def opset(facts: Facts) -> Iterator[Finding]:
    """The graph uses the standard's operators, of a set that the target reads."""
    for one in facts.graph.opset_import:
        if one.domain not in ("", "ai.onnx"):
            text = f"the graph uses operators of {one.domain}, which TensorRT has no parser for"
            yield Finding("opset", "error", one.domain, text)
        elif not OLDEST_OPSET <= one.version <= facts.target.opset:
            text = (
                f"the graph is written in opset {one.version}, TensorRT {facts.target.name} reads "
                f"{OLDEST_OPSET} to {facts.target.opset}"
            )
            yield Finding("opset", "error", "opset", text)


def operators(facts: Facts) -> Iterator[Finding]:
    """Each operator is one that the target's parser knows."""
    for node in facts.graph.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in facts.target.operators:
            text = f"TensorRT {facts.target.name} can't read the operator {node.op_type}"
            yield Finding("operators", "error", node.name, f"{text} ({node.name})")


def types(facts: Facts) -> Iterator[Finding]:
    """Types and shapes follow from the operators, and each operator takes the types it gets.

    The checker does not look at types, and TensorRT casts nothing in a strongly typed graph.
    """
    if isinstance(facts.inferred, str):
        yield Finding("types", "error", "graph", f"the graph is not valid: {facts.inferred}")
        return
    version = opset_of(facts.graph)
    for node in facts.graph.graph.node:
        sentence = _mixed(facts, node, version)
        if sentence:
            yield Finding("types", "error", node.name, sentence)


def _mixed(facts: Facts, node: onnx.NodeProto, version: int) -> str:
    """Returns which input has a type that the operator's definition does not allow, if one has."""
    from onnx import TensorProto, defs

    if not defs.has(node.op_type, max_inclusive_version=version, domain=node.domain):
        return ""
    schema = defs.get_schema(node.op_type, version, node.domain)
    allowed = {one.type_param_str: one.allowed_type_strs for one in schema.type_constraints}
    bound: dict[str, str] = {}
    for at, name in enumerate(node.input):
        formal = schema.inputs[min(at, len(schema.inputs) - 1)]
        number = facts.type_of(name)
        if not number:
            continue
        kind = f"tensor({TensorProto.DataType.Name(number).lower()})"
        if kind not in allowed.get(formal.type_str, [formal.type_str]):
            return f"{node.op_type} {node.name} takes no {kind} as its {formal.name}"
        first = bound.setdefault(formal.type_str, kind)
        if first != kind and formal.is_homogeneous:
            return f"{node.op_type} {node.name} mixes {first} and {kind}"
    return ""


def islands(facts: Facts) -> Iterator[Finding]:
    """In a graph of half precision nothing computes in float32; only outputs are cast to it."""
    if not facts.is_half:
        return
    outputs = {value.name for value in facts.graph.graph.output}
    for node in facts.graph.graph.node:
        wide = [name for name in node.output if facts.type_of(name) == FLOAT]
        if any(name not in outputs for name in wide):
            text = f"{node.op_type} {node.name} puts out float32 amid operators in half precision"
            yield Finding("islands", "error", node.name, text)


def precision(facts: Facts) -> Iterator[Finding]:
    """A strongly typed graph says half precision; one for version 8 is float32, weights too."""
    if facts.target.strongly_typed and not facts.is_half:
        text = "the graph is float32: a strongly typed engine would run it in float32"
        yield Finding("precision", "error", "graph", text)
    if facts.target.strongly_typed:
        return
    for name, tensor in facts.constants.items():
        if tensor.data_type in (FLOAT16, BFLOAT16) or (
            tensor.data_type in QUANTIZED and tensor.dims and np.any(facts.values_of(name))
        ):
            text = (
                f"{name} is stored in a type that TensorRT {facts.target.name} takes no weights in"
            )
            yield Finding("precision", "error", name, text)


def sums(facts: Facts) -> Iterator[Finding]:
    """LayerNormalization sums in float32, also where its values are of half precision."""
    for node in facts.graph.graph.node:
        if not node.input or facts.type_of(node.input[0]) not in (FLOAT16, BFLOAT16):
            continue
        stash = next((one.i for one in node.attribute if one.name == "stash_type"), FLOAT)
        if node.op_type == "LayerNormalization" and stash != FLOAT:
            text = f"{node.name} sums in half precision; its stash_type must be {FLOAT}, float32"
            yield Finding("sums", "error", node.name, text)
        if node.op_type in _SUMS:
            text = (
                f"{node.op_type} {node.name} sums in half precision; keep LayerNormalization whole"
            )
            yield Finding("sums", "error", node.name, text)


def constants(facts: Facts) -> Iterator[Finding]:
    """Constants are numbers of their type: none became infinite on the way to half precision."""
    for name, tensor in facts.constants.items():
        if tensor.data_type not in (FLOAT, FLOAT16, BFLOAT16):
            continue
        values = facts.values_of(name)
        if values is not None and not np.isfinite(values.astype(np.float32)).all():
            text = f"{name} holds infinity or NaN; a masked row would become NaN"
            yield Finding("constants", "error", name, text)
