"""Places of a graph at which its values can be compared with those of the model it came from.

Every weight product is one: what goes into it and what comes out, its bias added, carry the name
of its module in the checkpoint and in every graph made from it, whatever became of the operators
between. A *cut* is a tensor that all later values are computed from alone (each layer's last
LayerNormalization is one): if a cut is right, nothing before it can have been wrong in a way that
matters. Points come in groups that end with a cut, so that a bisection may judge a group by its
end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bertcompress.graph.edit import copy_of
from bertcompress.graph.run_products import RunProduct, run_products

if TYPE_CHECKING:
    import onnx

Side = Literal["input", "output"]

_CONVERSIONS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast")
_IDS = "input_ids"
_SHAPE_ONLY = ("Shape", "Size")


@dataclass(frozen=True)
class WatchPoint:
    """One tensor that can be compared.

    Attributes:
        module: The module path of the weight product.
        side: Whether it goes into the product or comes out of it, its bias added.
        tensor: The tensor's name in this graph.
    """

    module: str
    side: Side
    tensor: str

    @property
    def place(self) -> tuple[str, Side]:
        """What it is called in every graph and in the checkpoint."""
        return self.module, self.side


def watch_points(graph: onnx.ModelProto) -> tuple[tuple[WatchPoint, ...], ...]:
    """Returns the points in the order in which they are computed, in groups that end with a cut.

    A tensor that several products read is one point, under the first of them. The last group may
    end without a cut.
    """
    nodes = _Nodes(graph)
    products = [product for product in run_products(graph) if product.weight is not None]
    points: dict[str, WatchPoint] = {}
    for product in products:
        given, result = nodes.source_of(product), nodes.result_of(product)
        points.setdefault(given, WatchPoint(product.module, "input", given))
        points.setdefault(result, WatchPoint(product.module, "output", result))
    ordered = sorted(points.values(), key=lambda point: nodes.made_at[point.tensor])
    cuts = nodes.cuts()
    groups: list[tuple[WatchPoint, ...]] = []
    group: list[WatchPoint] = []
    for point in ordered:
        group.append(point)
        if point.tensor in cuts:
            groups.append(tuple(group))
            group = []
    return (*groups, tuple(group)) if group else tuple(groups)


def with_outputs(graph: onnx.ModelProto, tensors: tuple[str, ...]) -> onnx.ModelProto:
    """Returns a copy that gives these tensors too, after its own outputs; none is given twice."""
    import onnx

    copy = copy_of(graph)
    given = {output.name for output in copy.graph.output}
    new = (tensor for tensor in tensors if tensor not in given)
    copy.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in new)
    return copy


class _Nodes:
    """A graph's nodes by what they make and read."""

    def __init__(self, graph: onnx.ModelProto) -> None:
        self._by_name = {node.name: node for node in graph.graph.node}
        self._constants = {tensor.name: len(tensor.dims) for tensor in graph.graph.initializer}
        self._makers: dict[str, onnx.NodeProto] = {}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        self.made_at: dict[str, int] = {value.name: -1 for value in graph.graph.input}
        self._last_read: dict[str, int] = {}
        self._from_ids = {_IDS}
        for at, node in enumerate(graph.graph.node):
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
                self._last_read[name] = at
            depends = node.op_type not in _SHAPE_ONLY and self._from_ids.intersection(node.input)
            for name in node.output:
                self._makers[name] = node
                self.made_at[name] = at
                if depends:
                    self._from_ids.add(name)
        for output in graph.graph.output:
            self._last_read[output.name] = len(graph.graph.node)

    def source_of(self, product: RunProduct) -> str:
        """Returns what goes into a product, before it is quantized or scaled for it."""
        name, _ = product.nodes[0]
        tensor = str(self._by_name[name].input[0])
        while tensor in self._makers:
            maker = self._makers[tensor]
            if maker.op_type not in _CONVERSIONS and not self._scales_channels(maker):
                break
            tensor = next(str(name) for name in maker.input if name not in self._constants)
        return tensor

    def _scales_channels(self, node: onnx.NodeProto) -> bool:
        """Whether a node multiplies channels by constants, as AWQ and SmoothQuant have it done."""
        return node.op_type == "Mul" and any(self._constants.get(name, 0) for name in node.input)

    def result_of(self, product: RunProduct) -> str:
        """Returns a product's result, after the addition of its bias."""
        name, _ = product.nodes[-1]
        tensor = str(self._by_name[name].output[0])
        readers = self._readers.get(tensor, [])
        if len(readers) == 1 and readers[0].op_type == "Add":
            others = [name for name in readers[0].input if name != tensor]
            if len(others) == 1 and self._constants.get(others[0]) == 1:
                return str(readers[0].output[0])
        return tensor

    def cuts(self) -> set[str]:
        """Returns the tensors that alone are still to be read when they have just been made.

        Of tensors that depend on the tokens; masks and shapes are the same in every layer.
        """
        tensors: dict[int, list[str]] = {}
        for name in self._from_ids:
            tensors.setdefault(self.made_at.get(name, -1), []).append(name)
        alive: set[str] = set()
        cuts: set[str] = set()
        for at in sorted(tensors):
            alive = {
                tensor
                for tensor in alive.union(tensors[at])
                if self._last_read.get(tensor, -1) > at
            }
            if len(alive) == 1:
                cuts |= alive
        return cuts
