"""Heads are joined where the exporter split them, the answers stay, all else is left alone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bertcompress.graph.attention import join_heads
from bertcompress.graph.edit import copy_of
from bertcompress.runtimes.ort.runtime import run_graph

NAMES = ("query", "key", "value")
BATCH, LENGTH, HEADS, SIZE = 2, 5, 3, 4
WIDTH = HEADS * SIZE


@pytest.fixture
def graph() -> onnx.ModelProto:
    """Attention over three heads of four, split and joined as the exporter writes it."""
    nodes = []
    for name in NAMES:
        nodes += [
            helper.make_node("Reshape", [name, "split"], [f"{name}.heads"]),
            helper.make_node("Transpose", [f"{name}.heads"], [f"{name}.t"], perm=[0, 2, 1, 3]),
        ]
    nodes += [
        helper.make_node("Attention", ["query.t", "key.t", "value.t"], ["context.t"], "attention"),
        helper.make_node("Transpose", ["context.t"], ["context.heads"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["context.heads", "join"], ["context"]),
        helper.make_node("Neg", ["context"], ["answer"]),
    ]
    whole = [BATCH, LENGTH, WIDTH]
    made = helper.make_graph(
        nodes,
        "attention",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, whole) for name in NAMES],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, whole)],
        [
            numpy_helper.from_array(np.array([0, 0, HEADS, SIZE]), "split"),
            numpy_helper.from_array(np.array([0, 0, WIDTH]), "join"),
        ],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def answer_of(graph: onnx.ModelProto) -> np.ndarray:
    generator = np.random.default_rng(0)
    shape = (BATCH, LENGTH, WIDTH)
    feed = {name: generator.normal(size=shape).astype(np.float32) for name in NAMES}
    return run_graph(graph, [feed])[0]["answer"]  # type: ignore[list-item]  # floats here


def test_split_heads_are_joined_and_the_answers_stay(graph: onnx.ModelProto) -> None:
    joined = copy_of(graph)

    assert join_heads(joined) == 1

    assert [node.op_type for node in joined.graph.node] == ["Attention", "Neg"]
    (attention, _) = joined.graph.node
    assert list(attention.input) == ["query", "key", "value"]
    heads = {one.name: one.i for one in attention.attribute}
    assert heads == {"q_num_heads": HEADS, "kv_num_heads": HEADS}
    np.testing.assert_allclose(answer_of(joined), answer_of(graph), rtol=0, atol=1e-6)


def test_heads_that_something_else_reads_are_left_alone(graph: onnx.ModelProto) -> None:
    graph.graph.node.append(helper.make_node("Neg", ["key.t"], ["other"]))
    graph.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, None))
    before = copy_of(graph)

    assert join_heads(graph) == 0
    assert graph == before


def test_another_order_of_axes_is_left_alone(graph: onnx.ModelProto) -> None:
    split = next(node for node in graph.graph.node if "key.t" in node.output)
    split.attribute[0].ints[:] = [0, 2, 3, 1]

    assert join_heads(graph) == 0
    assert next(one for one in graph.graph.node if one.op_type == "Attention").input[1] == "key.t"
