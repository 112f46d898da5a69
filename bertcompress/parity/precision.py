"""The coarsest numbers that a graph computes with, read from the graph itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from bertcompress.graph.run_products import type_name

if TYPE_CHECKING:
    import onnx

Precision = Literal["fp32", "fp16", "bf16", "int8", "fp8", "int4"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
"""From the finest to the coarsest."""

_STORED: dict[str, Precision] = {
    "float16": "fp16",
    "bfloat16": "bf16",
    "int8": "int8",
    "uint8": "int8",
    "float8e4m3fn": "fp8",
    "int4": "int4",
    "uint4": "int4",
}
_QUANTIZES = ("QuantizeLinear", "DynamicQuantizeLinear", "DynamicQuantizeMatMul")


def graph_precision(graph: onnx.ModelProto) -> Precision:
    """Returns the coarsest type of its weights, or of the activations that it quantizes."""
    types: list[Precision] = ["fp32"]
    for tensor in graph.graph.initializer:
        if len(tensor.dims) >= 2:
            types.append(_STORED.get(type_name(tensor.data_type), "fp32"))
    eights: Precision = "fp8" if "fp8" in types else "int8"
    for node in graph.graph.node:
        if node.op_type in _QUANTIZES:
            types.append(eights)
        types += [
            "int4" for attribute in node.attribute if attribute.name == "bits" and attribute.i == 4
        ]
    return coarser(*types)


def coarser(*precisions: Precision) -> Precision:
    """Returns the coarsest of some.

    >>> coarser("int8", "fp32", "bf16")
    'int8'
    """
    return max(precisions, key=PRECISIONS.index)
