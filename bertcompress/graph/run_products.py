"""Which product of a graph that a runtime optimized is which module's, and what it multiplies.

A product is told by its weight's name, which survives every fusion (`bertcompress.graph.tidy` calls
it ``<module>.weight_t``, quantizers add to its end); attention, which has no weight, by the product
that made its keys.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertcompress.graph.kernels import FLOAT_PRODUCTS, INTEGER_KERNELS, WEIGHT_ONLY_KERNELS
from bertcompress.graph.tidy import WEIGHT_SUFFIX

if TYPE_CHECKING:
    import onnx

_WEIGHT_INPUT = {"QLinearMatMul": 3, "QGemm": 3}
_WITHOUT_WEIGHT = ("Attention", "MultiHeadAttention")
_MULTIPLIES = (*FLOAT_PRODUCTS, *INTEGER_KERNELS, *WEIGHT_ONLY_KERNELS, *_WITHOUT_WEIGHT)
_PASS_ON = ("DequantizeLinear", "Transpose", "Cast", "Reshape", "Identity")
_INT8_LEVEL = 4


@dataclass(frozen=True)
class RunProduct:
    """One matrix product of an optimized graph.

    Attributes:
        module: The module it came from; of an attention, the module that holds query and key.
        kernel: The operator's type.
        nodes: The nodes that do it, as (name, type): an integer product that stands alone also
            has what turns its result into floats.
        weight: The weight's type, None for a product of two activations.
        activation: The activation's type where the kernel itself quantizes it, else None: then it
            is the type of what the kernel is given.
        dynamic: Whether the activation's range is found as it runs.
    """

    module: str
    kernel: str
    nodes: tuple[tuple[str, str], ...]
    weight: str | None
    activation: str | None = None
    dynamic: bool = False

    def precision(self, given: str) -> str:
        """Returns what is multiplied with what; `given` is the type of the kernel's first input.

        >>> RunProduct("a", "MatMulIntegerToFloat", (), "int8").precision("uint8")
        'uint8 x int8'
        >>> RunProduct("a", "MatMul", (), "float32").precision("float32")
        'float32'
        """
        left, right = self.activation or given, self.weight or given
        text = left if left == right else f"{left} x {right}"
        return f"{text}, dynamic" if self.dynamic else text


def run_products(optimized: onnx.ModelProto) -> tuple[RunProduct, ...]:
    """Returns the matrix products of a graph as the runtime optimized it, in its order."""
    return _Products(optimized).found()


def module_names(graph: onnx.ModelProto) -> dict[str, str]:
    """Returns the module of each node that is a weight product or reads one, by the node's name."""
    found = _Products(graph)
    products = [product for product in found.found() if product.weight is not None]
    names = {name: product.module for product in products for name, _ in product.nodes}
    for node in graph.graph.node:
        makers = (found.maker(name) for name in node.input)
        known = [names[maker.name] for maker in makers if maker and maker.name in names]
        if known and node.op_type == "Add":
            names.setdefault(node.name, known[0])
    return names


class _Products:
    """One pass over an optimized graph's nodes."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        self._nodes = list(graph.graph.node)
        self._tensors = {tensor.name: tensor for tensor in graph.graph.initializer}
        self._makers = {output: node for node in self._nodes for output in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self._nodes:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._module_of: dict[str, str] = {}

    def maker(self, tensor: str) -> onnx.NodeProto | None:
        return self._makers.get(tensor)

    def found(self) -> tuple[RunProduct, ...]:
        products = []
        for node in self._nodes:
            if node.op_type in _MULTIPLIES:
                product = self._product(node)
                products.append(product)
                if product.weight is not None:
                    self._module_of[node.output[0]] = product.module
        return tuple(products)

    def _product(self, node: onnx.NodeProto) -> RunProduct:
        weight = self._weight_of(node)
        name = (node.name, node.op_type)
        if weight is None:
            return RunProduct(self._attention(node), node.op_type, (name,), None)
        module = weight.name.partition(WEIGHT_SUFFIX)[0] if WEIGHT_SUFFIX in weight.name else ""
        activation, stored = self._types(node, weight)
        return RunProduct(
            module=module or node.name,
            kernel=node.op_type,
            nodes=(name, *self._back_to_float(node)),
            weight=stored,
            activation=activation,
            dynamic=node.op_type == "DynamicQuantizeMatMul" or self._is_dynamic(node.input[0]),
        )

    def _weight_of(self, node: onnx.NodeProto) -> onnx.TensorProto | None:
        """Follows a product's weight back to its initializer, None if it has none."""
        position = _WEIGHT_INPUT.get(node.op_type, 1)
        name = node.input[position] if len(node.input) > position else ""
        while name in self._makers and self._makers[name].op_type in _PASS_ON:
            name = self._makers[name].input[0]
        tensor = self._tensors.get(name)
        return tensor if tensor is not None and len(tensor.dims) >= 2 else None

    def _types(self, node: onnx.NodeProto, weight: onnx.TensorProto) -> tuple[str | None, str]:
        """Returns the types of activation, where the kernel makes it, and weight."""
        if node.op_type == "MatMulNBits":
            facts = {one.name: one.i for one in node.attribute}
            integer = facts.get("accuracy_level", 0) == _INT8_LEVEL
            stored = f"int{facts.get('bits', 4)}, block {facts['block_size']}"
            return "int8" if integer else None, stored
        if node.op_type in FLOAT_PRODUCTS:  # a weight that is dequantized first is a float here
            return None, type_name(weight.data_type) if self._is_direct(node) else "float32"
        quantizes = node.op_type == "DynamicQuantizeMatMul"
        return "uint8" if quantizes else None, type_name(weight.data_type)

    def _is_direct(self, node: onnx.NodeProto) -> bool:
        return node.input[1] in self._tensors

    def _is_dynamic(self, name: str) -> bool:
        return name in self._makers and self._makers[name].op_type == "DynamicQuantizeLinear"

    def _back_to_float(self, node: onnx.NodeProto) -> tuple[tuple[str, str], ...]:
        """Returns the Cast and the Mul that only a bare integer product's result goes through."""
        if node.op_type != "MatMulInteger":
            return ()
        more, name = [], node.output[0]
        for expected in ("Cast", "Mul"):
            readers = self._readers.get(name, [])
            if len(readers) != 1 or readers[0].op_type != expected:
                break
            more.append((readers[0].name, expected))
            name = readers[0].output[0]
        return tuple(more)

    def _attention(self, node: onnx.NodeProto) -> str:
        """Walks back, nearest first, to the product that made the keys; returns what holds it."""
        start = node.input[_WEIGHT_INPUT.get(node.op_type, 1)]
        waiting, seen = deque([start]), {start}
        while waiting:
            tensor = waiting.popleft()
            if tensor in self._module_of:
                return self._module_of[tensor].rpartition(".")[0] or node.name
            maker = self._makers.get(tensor)
            for before in maker.input if maker is not None else ():
                if before not in seen:
                    seen.add(before)
                    waiting.append(before)
        return node.name


def type_name(data_type: int) -> str:
    """Returns an ONNX element type as NumPy calls it.

    >>> type_name(1), type_name(3)
    ('float32', 'int8')
    """
    from onnx import TensorProto

    name = TensorProto.DataType.Name(data_type).lower()
    return "float32" if name == "float" else name
