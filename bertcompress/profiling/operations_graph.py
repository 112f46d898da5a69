"""The operations of an ONNX graph, from its nodes and the shapes of its weights.

A product's weight is an initializer, or an initializer behind a ``DequantizeLinear``. Its
activation has three axes (``[batch, sequence, in]``) or, behind the pooling, two: such products
see one vector a sentence, as those do whose activation has one token
(`graph/for_onnxruntime.py`; that layer's scores are counted for all tokens, a part in a hundred too
many at most). Scores and context are an ``Attention``, or products of two activations; how wide
they are is found by walking back from keys and values to the weight product that made them.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from bertcompress.graph.kernels import INTEGER_KERNELS
from bertcompress.profiling.operations import Operations, WeightUse, summed

if TYPE_CHECKING:
    import onnx

_FLOAT_PRODUCTS = ("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "Attention")
_WEIGHT_INPUT = {"QLinearMatMul": 3, "QGemm": 3}
_PACKED = ("Attention", "QAttention")
_TABLE_READERS = ("Gather", "GatherBlockQuantized")
_INTEGER_LEVEL = 4
_SMALL = 1024
"""Values of larger initializers decide no shape."""


def graph_operations(graph: onnx.ModelProto) -> Operations:
    """Counts a graph's operations."""
    return _Count(graph).operations()


class _Count:
    """One pass over a graph's nodes."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        self._nodes = graph.graph.node
        self._tensors = {tensor.name: tensor for tensor in graph.graph.initializer}
        self._makers = {output: node for node in self._nodes for output in node.output}
        self._single = _single_vectors(graph)
        self._products: dict[str, WeightUse] = {}

    def operations(self) -> Operations:
        for node in self._nodes:
            product = self._product(node)
            if product is not None:
                self._products[node.output[0]] = product
        gathered = {
            name
            for node in self._nodes
            if node.op_type in _TABLE_READERS
            for name in (node.input[0], *node.input[2:])
            if name in self._tensors
        }
        tables = [self._tensors[name] for name in gathered]
        others = [tensor for name, tensor in self._tensors.items() if name not in gathered]
        return summed(
            list(self._products.values()),
            attention_width=sum(self._attention_width(node) for node in self._nodes),
            weight_bytes=sum(_bytes(tensor) for tensor in others),
            bytes_per_token=sum(_bytes(tensor) // max(1, tensor.dims[0]) for tensor in tables),
        )

    def _product(self, node: onnx.NodeProto) -> WeightUse | None:
        per_sentence = bool(node.input) and node.input[0] in self._single
        if node.op_type == "MatMulNBits":
            facts = {attribute.name: attribute.i for attribute in node.attribute}
            is_integer = facts.get("accuracy_level", 0) == _INTEGER_LEVEL
            return WeightUse(facts["K"], facts["N"], is_integer, per_sentence)
        if node.op_type not in (*_FLOAT_PRODUCTS, *INTEGER_KERNELS):
            return None
        weight = self._weight(node, _WEIGHT_INPUT.get(node.op_type, 1))
        if weight is None:
            return None
        tensor, is_dequantized = weight
        rows, columns = (int(size) for size in tensor.dims)
        if any(attribute.name == "transB" and attribute.i for attribute in node.attribute):
            rows, columns = columns, rows
        is_integer = node.op_type in INTEGER_KERNELS or (
            is_dequantized and self._is_dequantized(node.input[0])
        )
        return WeightUse(rows, columns, is_integer, per_sentence)

    def _weight(self, node: onnx.NodeProto, position: int) -> tuple[onnx.TensorProto, bool] | None:
        """Returns a product's weight, and whether it is dequantized; None where there is none."""
        if len(node.input) <= position:
            return None
        name = node.input[position]
        is_dequantized = self._is_dequantized(name)
        tensor = self._tensors.get(self._makers[name].input[0] if is_dequantized else name)
        if tensor is None or len(tensor.dims) != 2:
            return None
        return tensor, is_dequantized

    def _is_dequantized(self, name: str) -> bool:
        return name in self._makers and self._makers[name].op_type == "DequantizeLinear"

    def _attention_width(self, node: onnx.NodeProto) -> int:
        """Returns the widths of the keys and values that a node multiplies, 0 for most nodes."""
        product = self._products.get(node.output[0]) if node.output else None
        if product is not None:  # a packed weight has query, key and value side by side
            return 2 * product.outputs // 3 if node.op_type in _PACKED else 0
        if node.op_type in ("Attention", "MultiHeadAttention"):
            return self._width_behind(node.input[1]) + self._width_behind(node.input[2])
        if node.op_type in ("MatMul", "FusedMatMul"):
            return self._width_behind(node.input[1])
        return 0

    def _width_behind(self, name: str) -> int:
        """Walks back, nearest first, to the weight product that a tensor comes from."""
        waiting, seen = deque([name]), {name}
        while waiting:
            tensor = waiting.popleft()
            if tensor in self._products:
                return self._products[tensor].outputs
            maker = self._makers.get(tensor)
            for before in maker.input if maker is not None else ():
                if before not in seen:
                    seen.add(before)
                    waiting.append(before)
        return 0


def _single_vectors(graph: onnx.ModelProto) -> set[str]:
    """Returns the tensors of one vector a sentence, as far as the graph or its shapes tell."""
    import onnx

    hollow = onnx.ModelProto()
    hollow.ir_version = graph.ir_version
    hollow.opset_import.extend(graph.opset_import)
    for part in ("node", "input", "output", "value_info"):
        getattr(hollow.graph, part).extend(getattr(graph.graph, part))
    for tensor in graph.graph.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            hollow.graph.initializer.append(tensor)
            continue
        value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        hollow.graph.value_info.append(value)
    inferred = onnx.shape_inference.infer_shapes(hollow).graph
    names = set()
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        axes = value.type.tensor_type.shape.dim
        if len(axes) == 2 or (len(axes) == 3 and axes[1].dim_value == 1):
            names.add(value.name)
    return names


def _bytes(tensor: onnx.TensorProto) -> int:
    from onnx import TensorProto
    from onnx.helper import tensor_dtype_to_np_dtype

    count: int = math.prod(tensor.dims)
    if tensor.data_type in (TensorProto.INT4, TensorProto.UINT4):
        return (count + 1) // 2
    return count * int(tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
