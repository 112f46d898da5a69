"""What the rules of the lint read: a graph with its types, shapes, makers and readers looked up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from bertcompress.graph.tensorrt.target import Target

if TYPE_CHECKING:
    import onnx

Severity = Literal["error", "slow"]
Shape = tuple[int | None, ...]

FLOAT, INT8, FLOAT16, BFLOAT16, FP8 = 1, 3, 10, 16, 17
"""``onnx.TensorProto``'s numbers of float32, int8, float16, bfloat16 and E4M3FN."""

QUANTIZED = {INT8: "INT8", FP8: "FP8"}


@dataclass(frozen=True)
class Finding:
    """One breach of a rule.

    Attributes:
        rule: The rule's name.
        severity: ``error``: an engine can't be built or answers wrongly or runs in float32 what
            should not; ``slow``: right, but not as fast as it could be.
        where: The node or tensor.
        sentence: What is there and what should be.
    """

    rule: str
    severity: Severity
    where: str
    sentence: str


@dataclass(frozen=True)
class Facts:
    """A graph, looked up.

    Attributes:
        graph: The model.
        target: Who shall read it.
        quantized: The products that have to be quantized, by node name.
        longest: The longest text that the engine is for, in tokens; None if it is not known.
    """

    graph: onnx.ModelProto
    target: Target
    quantized: frozenset[str] = frozenset()
    longest: int | None = None

    @cached_property
    def makers(self) -> dict[str, onnx.NodeProto]:
        """The node that makes each tensor."""
        return {name: node for node in self.graph.graph.node for name in node.output}

    @cached_property
    def readers(self) -> dict[str, list[onnx.NodeProto]]:
        """The nodes that read each tensor."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.graph.graph.node:
            for name in node.input:
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def constants(self) -> dict[str, onnx.TensorProto]:
        """The initializers by name."""
        return {tensor.name: tensor for tensor in self.graph.graph.initializer}

    @cached_property
    def inferred(self) -> onnx.ModelProto | str:
        """The graph with all types and shapes, or the sentence that says why there are none."""
        import onnx

        bare = onnx.ModelProto()
        bare.CopyFrom(self.graph)
        del bare.graph.value_info[:]  # what is written there may be out of date
        try:
            onnx.checker.check_model(self.graph)
            return onnx.shape_inference.infer_shapes(bare, strict_mode=True, data_prop=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            return str(error).strip().splitlines()[0]

    @cached_property
    def _values(self) -> dict[str, onnx.ValueInfoProto]:
        model = self.inferred
        if isinstance(model, str):
            return {}
        values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
        return {value.name: value for value in values}

    @property
    def is_half(self) -> bool:
        """Whether the graph is one of half precision."""
        return any(one.data_type in (FLOAT16, BFLOAT16) for one in self.constants.values())

    def type_of(self, tensor: str) -> int:
        """Returns a tensor's type as a number of ``onnx.TensorProto``, 0 if it is not known."""
        if tensor in self.constants:
            return int(self.constants[tensor].data_type)
        if tensor in self._values:
            return int(self._values[tensor].type.tensor_type.elem_type)
        return 0

    def shape_of(self, tensor: str) -> Shape:
        """Returns a tensor's shape, None for what is not fixed; empty if it is not known."""
        if tensor in self.constants:
            return tuple(self.constants[tensor].dims)
        if tensor not in self._values:
            return ()
        axes = self._values[tensor].type.tensor_type.shape.dim
        return tuple(int(a.dim_value) if a.HasField("dim_value") else None for a in axes)

    def values_of(self, tensor: str) -> NDArray[np.generic] | None:
        """Returns a constant's values, or None if the tensor is no constant."""
        from onnx import numpy_helper

        if tensor not in self.constants:
            return None
        return np.asarray(numpy_helper.to_array(self.constants[tensor]))

    def quantizers(self) -> Iterator[onnx.NodeProto]:
        """Gives each QuantizeLinear and DequantizeLinear."""
        for node in self.graph.graph.node:
            if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
                yield node

    def products(self) -> Iterator[onnx.NodeProto]:
        """Gives each matrix product."""
        for node in self.graph.graph.node:
            if node.op_type == "MatMul":
                yield node

    def dequantized(self, tensor: str) -> onnx.NodeProto | None:
        """Returns the DequantizeLinear that makes a tensor, or None."""
        maker = self.makers.get(tensor)
        return maker if maker is not None and maker.op_type == "DequantizeLinear" else None

    def source_of(self, node: onnx.NodeProto) -> str:
        """Returns the name of what a Q/DQ pair, or a DequantizeLinear alone, was given."""
        maker = self.makers.get(node.input[0])
        if node.op_type == "DequantizeLinear" and maker is not None:
            return str(maker.input[0])
        return str(node.input[0])

    def weight_of(self, product: onnx.NodeProto) -> str | None:
        """Returns the constant that a product multiplies with, also through a Q/DQ pair."""
        found = self.dequantized(product.input[1])
        name = self.source_of(found) if found is not None else str(product.input[1])
        return name if name in self.constants else None
