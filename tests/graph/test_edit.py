"""Small edits do what they say to a graph of a few nodes, and nothing else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bertcompress.graph.edit import (
    ORT_DOMAIN,
    add_initializer,
    added_to,
    copy_of,
    drop_dead_nodes,
    drop_unused_initializers,
    import_ort_domain,
    initializer_values,
    makers_of,
    replace_nodes,
    set_initializer,
)


@pytest.fixture
def graph() -> onnx.ModelProto:
    """``y = -(x w)``, and beside it ``unread = tanh(x w)`` and ``further = -unread``."""
    return helper.make_model(
        helper.make_graph(
            [
                helper.make_node("MatMul", ["x", "w"], ["xw"], "product"),
                helper.make_node("Tanh", ["xw"], ["unread"], "tanh"),
                helper.make_node("Neg", ["unread"], ["further"], "further"),
                helper.make_node("Neg", ["xw"], ["y"], "negative"),
            ],
            "small",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
            [numpy_helper.from_array(np.eye(2, dtype=np.float32), "w")],
        )
    )


def names_of(graph: onnx.ModelProto) -> list[str]:
    return [node.name for node in graph.graph.node]


def test_initializers_are_read_added_and_set(graph: onnx.ModelProto) -> None:
    before = copy_of(graph)

    assert add_initializer(graph, "scale", np.float32(0.5)) == "scale"
    set_initializer(graph, "w", np.full((3, 2), 7, np.int8))

    assert initializer_values(graph, "scale") == np.float32(0.5)
    assert initializer_values(graph, "w").tolist() == [[7, 7]] * 3
    assert initializer_values(graph, "w").dtype == np.int8
    assert initializer_values(before, "w").tolist() == [[1, 0], [0, 1]]  # a copy is another graph


def test_an_initializer_that_is_not_there(graph: onnx.ModelProto) -> None:
    for ask in (initializer_values, lambda graph, name: set_initializer(graph, name, np.zeros(1))):
        with pytest.raises(KeyError, match="nowhere"):
            ask(graph, "nowhere")


def test_nodes_are_known_by_what_they_make(graph: onnx.ModelProto) -> None:
    assert {name: node.name for name, node in makers_of(graph).items()} == {
        "xw": "product",
        "unread": "tanh",
        "further": "further",
        "y": "negative",
    }


def test_nodes_are_replaced_in_their_place(graph: onnx.ModelProto) -> None:
    two = [
        helper.make_node("Abs", ["xw"], ["size"], "size"),
        helper.make_node("Neg", ["size"], ["y"], "negated"),
    ]

    replace_nodes(graph, {"negative": two, "tanh": ()})

    assert names_of(graph) == ["product", "further", "size", "negated"]


def test_what_nothing_reads_goes_with_what_only_it_had_read(graph: onnx.ModelProto) -> None:
    drop_dead_nodes(graph)

    assert names_of(graph) == ["product", "negative"]


def test_initializers_that_are_read_or_given_out_stay(graph: onnx.ModelProto) -> None:
    add_initializer(graph, "unused", np.zeros(2, np.float32))
    add_initializer(graph, "answer", np.zeros(2, np.float32))
    graph.graph.output.append(helper.make_tensor_value_info("answer", TensorProto.FLOAT, [2]))

    drop_unused_initializers(graph)

    assert [tensor.name for tensor in graph.graph.initializer] == ["w", "answer"]


def test_the_runtimes_operators_are_declared_once(graph: onnx.ModelProto) -> None:
    import_ort_domain(graph)
    import_ort_domain(graph)

    assert [one.domain for one in graph.opset_import].count(ORT_DOMAIN) == 1


def test_what_is_added_is_known_by_what_it_is_added_to() -> None:
    nodes = [
        helper.make_node("Add", ["a", "bias"], ["one"]),
        helper.make_node("Add", ["offset", "b"], ["two"]),
        helper.make_node("Add", ["a", "b"], ["three"]),
        helper.make_node("Mul", ["c", "bias"], ["four"]),
    ]
    graph = helper.make_model(helper.make_graph(nodes, "sums", [], []))

    assert added_to(graph, {"bias", "offset"}) == {"a": "bias", "b": "offset"}
