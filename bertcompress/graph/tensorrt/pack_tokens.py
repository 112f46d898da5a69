"""A graph without padding for TensorRT: the tokens of all texts in one long row.

    [batch, sequence, width]  --Gather-->  [1, rows, width]  --layers-->  --Gather-->  as before

Linear layers and norms look at one token at a time and take the row as it is. Attention becomes
TensorRT's own operator ``TRT_Attention`` in its packed form, which is told where each text begins
and looks at each for itself; it scales nothing, so the scale multiplies the query before it.
Embeddings and whatever reads more than one token (the pooler's selection) stay padded, which is
little work, so every task and family goes the same way. The graph gets four more inputs, INT32:

    packed_rows     [rows]             which of the padded tokens, counted through the batch
    padded_rows     [batch, sequence]  where in the row each padded token is, anything for padding
    query_lengths   [batch + 1]        where each text begins in the row, and the end of the last
    kv_lengths      [batch + 1]        the same: TensorRT wants a tensor of its own for it

Rows after the end of the last text are allowed and belong to none, so a row can be made as long as
a recorded CUDA graph wants it. The mask is no longer read and goes.

Source: https://github.com/onnx/onnx-tensorrt, docs on custom operators (``TRT_Attention``, ragged
since TensorRT 11.1), and ``IAttention`` in NvInfer.h of that release
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bertcompress.errors import ExportError
from bertcompress.graph.attention_products import AttentionNode, attention_nodes, projection_of
from bertcompress.graph.edit import (
    add_initializer,
    copy_of,
    drop_dead_nodes,
    drop_unused_initializers,
    makers_of,
)

if TYPE_CHECKING:
    import onnx

PACKED_ROWS, PADDED_ROWS = "packed_rows", "padded_rows"
QUERY_LENGTHS, KEY_LENGTHS = "query_lengths", "kv_lengths"

DOMAIN = "trt"
"""TensorRT's own operators."""

_BY_TOKEN = frozenset(
    (
        *("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Sum", "Min", "Max", "Clip", "Cast"),
        *("Erf", "Gelu", "Relu", "Sigmoid", "Tanh", "LayerNormalization", "MatMul", "Identity"),
        *("QuantizeLinear", "DequantizeLinear"),
    )
)
"""Operators whose result for one token depends on no other token, given constants beside it."""


def pack_tokens(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Returns the graph without padding, with the inputs described above; `graph` stays as it is.

    Raises:
        ExportError: If attention is no operator there (it is quantized inside, or lowered for an
            older TensorRT), or tokens meet in another way.
    """
    copy = copy_of(graph)
    attentions = {one.node: one for one in attention_nodes(copy)}
    if not attentions or any(node.op_type == "Softmax" for node in copy.graph.node):
        raise ExportError(
            "a packed engine needs attention as an operator of its own; make the graph for target "
            "10.14, without 8 bits inside attention"
        )
    _Packer(copy, attentions).rewrite()
    drop_dead_nodes(copy)
    drop_unused_initializers(copy)
    _change_inputs(copy)
    del copy.graph.value_info[:]  # of padded shapes
    return copy


class _Packer:
    """Goes through the operators in order and knows which tensors are packed by now."""

    def __init__(self, graph: onnx.ModelProto, attentions: dict[str, AttentionNode]) -> None:
        self._graph = graph
        self._attentions = attentions
        self._start = _start_of(graph, next(iter(attentions.values())))
        self._outputs = {value.name for value in graph.graph.output}
        self._constant = {tensor.name for tensor in graph.graph.initializer}
        self._packed: dict[str, str] = {}  # by the name in the graph as it was
        self._padded: dict[str, str] = {}
        self._nodes: list[onnx.NodeProto] = []

    def rewrite(self) -> None:
        """Puts the new operators in the place of the old ones."""
        graph = self._graph.graph
        kind = _numpy_type(self._graph, self._start)
        if self._start in {value.name for value in graph.input}:
            raise ExportError("the graph has no embeddings before its first layer")
        for node in list(graph.node):
            if not self._packed.keys() & set(node.input):
                self._keep(node)
            elif node.op_type == "Attention":
                self._attend(node, self._attentions[node.name], kind)
            elif node.op_type in _BY_TOKEN:
                self._pack(node)
            else:
                self._unpack_inputs(node)
        del graph.node[:]
        graph.node.extend(self._nodes)

    def _keep(self, node: onnx.NodeProto) -> None:
        self._nodes.append(node)
        if self._constant.issuperset(name for name in node.input if name):
            self._constant.update(node.output)
        if self._start in node.output:
            rows = self._add("Flatten", [self._start], f"{self._start}.rows", axis=2)
            picked = self._add("Gather", [rows, PACKED_ROWS], f"{self._start}.picked", axis=0)
            name = f"{self._start}.packed"
            self._packed[self._start] = self._add(
                "Unsqueeze", [picked, self._shape("first", [0])], name
            )

    def _pack(self, node: onnx.NodeProto) -> None:
        for at, name in enumerate(node.input):
            if name in self._packed:
                node.input[at] = self._packed[name]
            elif name and name not in self._constant:
                raise ExportError(
                    f"{node.name} joins each token with {name}, which is not of one token; this "
                    "graph can't be packed"
                )
        for at, name in enumerate(node.output):
            inner = f"{name}.packed" if name in self._outputs else name
            self._packed[name] = node.output[at] = inner
        self._nodes.append(node)
        for name in self._outputs.intersection(self._packed):
            self._pad(name, name)

    def _unpack_inputs(self, node: onnx.NodeProto) -> None:
        for at, name in enumerate(node.input):
            if name == self._start:
                continue
            if name in self._packed:
                node.input[at] = self._pad(name, f"{name}.padded")
        self._nodes.append(node)

    def _pad(self, name: str, target: str) -> str:
        """Returns a packed tensor's padded form, made once."""
        if name not in self._padded:
            rows = self._add(
                "Squeeze", [self._packed[name], self._shape("first", [0])], f"{name}.unpacked"
            )
            self._padded[name] = self._add("Gather", [rows, PADDED_ROWS], target, axis=0)
        return self._padded[name]

    def _attend(self, node: onnx.NodeProto, one: AttentionNode, kind: np.dtype[Any]) -> None:
        split = self._shape(f"{one.heads}x{one.head_size}", [-1, one.heads, one.head_size])
        parts = []
        for part, name in (("query", one.query), ("key", one.key), ("value", one.value)):
            if name not in self._packed:
                raise ExportError(f"the {part} of {one.node} is not made of each token alone")
            rows = self._add("Reshape", [self._packed[name], split], f"{one.node}.{part}.heads")
            parts.append(rows)
        factor = add_initializer(
            self._graph, f"{one.node}.scale", np.asarray(one.scale).astype(kind)
        )
        parts[0] = self._add("Mul", [parts[0], factor], f"{one.node}.query.scaled")
        attended = self._add(
            "TRT_Attention",
            [*parts, "", QUERY_LENGTHS, KEY_LENGTHS],
            f"{one.node}.heads",
            domain=DOMAIN,
            query_form="packed_nhd",
            kv_form="packed_nhd",
            causal_kind="none",
            TRT_decomposable=1,
        )
        join = self._shape(f"join{one.heads * one.head_size}", [1, -1, one.heads * one.head_size])
        self._packed[node.output[0]] = self._add("Reshape", [attended, join], node.output[0])

    def _shape(self, part: str, sizes: Sequence[int]) -> str:
        name = f"packed.{part}"
        if name not in self._constant:
            add_initializer(self._graph, name, np.asarray(sizes, dtype=np.int64))
            self._constant.add(name)
        return name

    def _add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"packed.{output}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name, **attributes))
        return output


def _start_of(graph: onnx.ModelProto, first: AttentionNode) -> str:
    """Returns what enters the first layer: the tensor that its projections read."""
    makers = makers_of(graph)
    found = set()
    for name in (first.query, first.key, first.value):
        source = projection_of(makers, name).input[0]
        while source in makers and makers[source].op_type in ("QuantizeLinear", "DequantizeLinear"):
            source = makers[source].input[0]
        found.add(str(source))
    if len(found) != 1:
        raise ExportError(f"{first.node} reads {len(found)} tensors; this graph can't be packed")
    return found.pop()


def _change_inputs(graph: onnx.ModelProto) -> None:
    """Drops inputs that nothing reads, declares the new ones and the operators' domain."""
    from onnx import TensorProto, helper

    read = {name for node in graph.graph.node for name in node.input}
    kept = [value for value in graph.graph.input if value.name in read]
    del graph.graph.input[:]
    graph.graph.input.extend(kept)
    for name, shape in (
        (PACKED_ROWS, ["rows"]),
        (PADDED_ROWS, ["batch", "sequence"]),
        (QUERY_LENGTHS, ["begins"]),
        (KEY_LENGTHS, ["begins"]),
    ):
        graph.graph.input.append(helper.make_tensor_value_info(name, TensorProto.INT32, shape))
    graph.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def _numpy_type(graph: onnx.ModelProto, tensor: str) -> np.dtype[Any]:
    from onnx.helper import tensor_dtype_to_np_dtype

    for value in graph.graph.value_info:
        if value.name == tensor:
            return tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    raise ExportError(f"the graph does not say the type of {tensor}; export it again")
