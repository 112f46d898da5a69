"""The whole graph in half precision: float16 or bfloat16 in the graph itself.

A strongly typed engine computes each operator in the type that the graph says, so a graph of Q/DQ
pairs in float32 runs everything else in float32, slower than no quantization at all. Here all
floating-point initializers, casts and types become half; only the outputs are cast back, so that
callers see float32 as before. Sums stay in float32 where half would lose them: LayerNormalization
by its attribute ``stash_type`` (1, float32, is the standard's default), matrix products and
softmax inside their kernels.

ONNX Runtime's own converter (``onnxruntime.transformers.float16``) gives the same answers on our
graphs, which a test holds this one to; it knows no bfloat16 and replaces small weights.

Source: https://onnx.ai/onnx/operators/onnx__LayerNormalization.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import ml_dtypes
import numpy as np

from bertcompress.errors import ExportError
from bertcompress.graph.edit import copy_of

if TYPE_CHECKING:
    import onnx

HalfKind = Literal["float16", "bfloat16"]


def to_half(graph: onnx.ModelProto, kind: HalfKind) -> None:
    """Turns a float32 graph into one of half precision, in place; its outputs stay float32.

    Raises:
        ExportError: If a weight is too large for the type.
    """
    from onnx import TensorProto

    wanted = TensorProto.FLOAT16 if kind == "float16" else TensorProto.BFLOAT16
    for tensor in _tensors(graph):
        if tensor.data_type == TensorProto.FLOAT:
            _convert(tensor, kind)
    for node in graph.graph.node:
        for attribute in node.attribute:
            if (
                node.op_type == "Cast"
                and attribute.name == "to"
                and attribute.i == TensorProto.FLOAT
            ):
                attribute.i = wanted
    for value in graph.graph.value_info:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = wanted
    _cast_outputs(graph)


def emulated(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a float32 graph that answers as one of half precision does on hardware that has it.

    Every operator computes in float32 and its result is rounded to half and back, as tensor cores
    do, which sum in float32. ONNX Runtime on the CPU can't be asked directly: it has next to no
    bfloat16 operators, and runs most float16 ones in float32 *without* rounding in between
    (``InsertedPrecisionFreeCast``), so that a graph looks more exact than it is.

    Args:
        graph: Of half precision; it is not changed. A float32 graph is returned as a copy.
    """
    from onnx import TensorProto, numpy_helper

    copy = copy_of(graph)
    rounded = _half_tensors(graph)
    for tensor in _tensors(copy):
        if tensor.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16):
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    nodes = [made for node in graph.graph.node for made in _rounding(node, rounded)]
    del copy.graph.node[:], copy.graph.value_info[:]
    copy.graph.node.extend(nodes)
    return copy


def _rounding(node: onnx.NodeProto, rounded: Mapping[str, int]) -> list[onnx.NodeProto]:
    """Returns a node that computes in float32, and the casts that round what it puts out."""
    from onnx import NodeProto, TensorProto, helper

    wide = NodeProto()
    wide.CopyFrom(node)
    nodes = [wide]
    for attribute in wide.attribute:
        halves = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
        if wide.op_type == "Cast" and attribute.name == "to" and attribute.i in halves:
            attribute.i = TensorProto.FLOAT
    for at, name in enumerate(node.output):
        if name in rounded:
            exact, short = f"{name}.exact", f"{name}.short"
            wide.output[at] = exact
            nodes.append(helper.make_node("Cast", [exact], [short], short, to=rounded[name]))
            again = f"{name}.rounded"
            nodes.append(helper.make_node("Cast", [short], [name], again, to=TensorProto.FLOAT))
    return nodes


def _tensors(graph: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from graph.graph.initializer
    for node in graph.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def _half_tensors(graph: onnx.ModelProto) -> dict[str, int]:
    """Returns the tensors of half precision that operators make, and their types."""
    from onnx import TensorProto, shape_inference

    inferred = shape_inference.infer_shapes(graph, strict_mode=True)
    types = {
        value.name: int(value.type.tensor_type.elem_type)
        for value in (*inferred.graph.value_info, *inferred.graph.output)
    }
    halves = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    return {name: kind for name, kind in types.items() if kind in halves}


def _convert(tensor: onnx.TensorProto, kind: HalfKind) -> None:
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    with np.errstate(over="ignore"):
        half = values.astype(np.float16 if kind == "float16" else ml_dtypes.bfloat16)
    if not np.isfinite(half.astype(np.float32)).all():
        raise ExportError(
            f"{tensor.name} holds values up to {np.abs(values).max():.3g}, which {kind} can't "
            "hold; take the precision bf16"
        )
    tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))


def _cast_outputs(graph: onnx.ModelProto) -> None:
    from onnx import TensorProto, helper

    for output in graph.graph.output:
        if output.type.tensor_type.elem_type != TensorProto.FLOAT:
            continue
        half = f"{output.name}.half"
        for node in graph.graph.node:
            for names in (node.input, node.output):
                for at, name in enumerate(names):
                    if name == output.name:
                        names[at] = half
        cast = helper.make_node("Cast", [half], [output.name], output.name, to=TensorProto.FLOAT)
        graph.graph.node.append(cast)
