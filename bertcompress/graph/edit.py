"""Small edits of a graph: initializers by name, nodes in place."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx


ORT_DOMAIN = "com.microsoft"
"""ONNX Runtime's own operators."""


def import_ort_domain(graph: onnx.ModelProto) -> None:
    """Declares ONNX Runtime's own operators in place, if the graph does not yet."""
    from onnx import helper

    if all(one.domain != ORT_DOMAIN for one in graph.opset_import):
        graph.opset_import.append(helper.make_opsetid(ORT_DOMAIN, 1))


def copy_of(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Returns an independent copy."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    return copy


def initializer_values(graph: onnx.ModelProto, name: str) -> NDArray[np.generic]:
    """Returns an initializer's values.

    Raises:
        KeyError: If the graph has none of that name.
    """
    from onnx import numpy_helper

    for tensor in graph.graph.initializer:
        if tensor.name == name:
            values: NDArray[np.generic] = numpy_helper.to_array(tensor)
            return values
    raise KeyError(name)


def add_initializer(graph: onnx.ModelProto, name: str, values: NDArray[np.generic]) -> str:
    """Adds an initializer and returns its name."""
    from onnx import numpy_helper

    graph.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return name


def set_initializer(graph: onnx.ModelProto, name: str, values: NDArray[np.generic]) -> None:
    """Gives an initializer other values.

    Raises:
        KeyError: If the graph has none of that name.
    """
    from onnx import numpy_helper

    for tensor in graph.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(values), name))
            return
    raise KeyError(name)


def makers_of(graph: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Returns the node that makes each tensor, by the tensor's name."""
    return {name: node for node in graph.graph.node for name in node.output}


def added_to(graph: onnx.ModelProto, names: Container[str]) -> dict[str, str]:
    """Returns which of the named tensors is added to a tensor, by that tensor's name."""
    added = {}
    for node in graph.graph.node:
        if node.op_type == "Add":
            for value, other in (tuple(node.input), tuple(reversed(node.input))):
                if other in names:
                    added[value] = other
    return added


def replace_nodes(
    graph: onnx.ModelProto, replacements: Mapping[str, Sequence[onnx.NodeProto]]
) -> None:
    """Puts nodes in the place of others, by name; an empty sequence removes the node."""
    nodes: list[onnx.NodeProto] = []
    for node in graph.graph.node:
        nodes.extend(replacements.get(node.name, (node,)))
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def drop_unused_initializers(graph: onnx.ModelProto) -> None:
    """Removes initializers that no node reads."""
    used = {name for node in graph.graph.node for name in node.input}
    used |= {output.name for output in graph.graph.output}
    kept = [tensor for tensor in graph.graph.initializer if tensor.name in used]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)


def drop_dead_nodes(graph: onnx.ModelProto) -> None:
    """Removes nodes whose outputs nothing reads, and those that only they had read."""
    nodes = list(graph.graph.node)
    while True:
        read = {name for node in nodes for name in node.input}
        read |= {output.name for output in graph.graph.output}
        kept = [node for node in nodes if read.intersection(node.output)]
        if len(kept) == len(nodes):
            break
        nodes = kept
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
