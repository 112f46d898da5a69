"""What the two hashes of a graph follow, and what changes neither."""

from __future__ import annotations

from collections.abc import Callable

import onnx
from onnx import numpy_helper

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.edit import copy_of, initializer_values, set_initializer
from bertcompress.graph.fingerprint import graph_sha256, weights_fingerprint


def test_the_fingerprint_follows_the_weights_alone(tiny_graph: Callable[..., OnnxModel]) -> None:
    graph = tiny_graph().graph
    other = onnx.ModelProto()
    other.CopyFrom(graph)
    tensors = list(reversed(graph.graph.initializer))
    del other.graph.initializer[:]
    other.graph.initializer.extend(tensors)
    assert weights_fingerprint(other) == weights_fingerprint(graph)

    tensor = next(one for one in other.graph.initializer if one.name == "classifier.weight_t")
    values = numpy_helper.to_array(tensor).copy()
    values[0, 0] += 1
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    assert weights_fingerprint(other) != weights_fingerprint(graph)


def test_the_hash_of_all_follows_operators_and_weights_and_no_notes(
    tiny_graph: Callable[..., OnnxModel],
) -> None:
    graph = tiny_graph().graph
    noted = copy_of(graph)
    noted.producer_name, noted.doc_string = "another tool", "made on a Monday"
    noted.graph.node[0].doc_string = "the first"
    noted.graph.node[0].metadata_props.add(key="who", value="me")
    assert graph_sha256(noted) == graph_sha256(graph)
    assert noted.producer_name == "another tool"  # the graph is left alone

    weights, operators = copy_of(graph), copy_of(graph)
    name = "classifier.weight_t"
    set_initializer(weights, name, initializer_values(weights, name) * 2)
    next(one for one in operators.graph.node if one.op_type == "Tanh").op_type = "Sigmoid"
    assert len({graph_sha256(one) for one in (graph, weights, operators)}) == 3
