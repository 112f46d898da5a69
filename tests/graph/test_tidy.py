"""Tidying an exporter's graph: Gemm to MatMul, names, what is left out."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bertcompress.errors import ExportError
from bertcompress.graph.edit import copy_of
from bertcompress.graph.products import weight_products
from bertcompress.graph.tidy import SCOPES_KEY, join_heads, tidy
from bertcompress.runtimes.ort.runtime import run_graph

WEIGHT = np.arange(6, dtype=np.float32).reshape(3, 2)  # torch's [out, in]


def graph_of(*nodes: onnx.NodeProto, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    initializers = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(list(nodes), "g", [x], [y], initializers)
    graph.value_info.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 2]))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])


def scoped(node: onnx.NodeProto, *scopes: str) -> onnx.NodeProto:
    node.metadata_props.append(
        onnx.StringStringEntryProto(key=SCOPES_KEY, value=str(["", *scopes]))
    )
    node.metadata_props.append(
        onnx.StringStringEntryProto(key="stack_trace", value="/home/me/secret.py")
    )
    return node


def gemm(name: str = "node_linear") -> onnx.NodeProto:
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], name, transB=1)
    return scoped(node, "model", "model.head", "linear")


def test_a_gemm_without_a_bias_becomes_a_product_alone() -> None:
    node = scoped(helper.make_node("Gemm", ["x", "w"], ["y"], "bare", transB=1), "m", "m.head", "l")
    graph = graph_of(node, weights={"w": WEIGHT})
    x = np.array([[1.0, 2.0]], np.float32)

    tidied = tidy(graph, root="model.")

    assert [one.op_type for one in tidied.graph.node] == ["MatMul"]
    [answer] = ReferenceEvaluator(tidied).run(None, {"x": x})
    assert np.array_equal(answer, x @ WEIGHT.T)


def test_a_gemm_becomes_a_named_product_and_an_addition() -> None:
    tidied = tidy(
        graph_of(gemm(), weights={"w": WEIGHT, "b": np.ones(3, np.float32)}), root="model."
    )

    (product,) = weight_products(tidied)
    assert product.module == product.node == "head"
    assert product.weight == "head.weight_t"
    assert product.bias == "b"
    x = np.asarray([[1.0, -2.0]], dtype=np.float32)
    (y,) = ReferenceEvaluator(tidied).run(None, {"x": x})
    np.testing.assert_allclose(y, x @ WEIGHT.T + 1)


def test_debugging_text_and_unused_weights_go() -> None:
    weights = {"w": WEIGHT, "b": np.ones(3, np.float32), "unused": WEIGHT}
    tidied = tidy(graph_of(gemm(), weights=weights), root="model.")

    assert b"secret" not in tidied.SerializeToString()
    assert {tensor.name for tensor in tidied.graph.initializer} == {"head.weight_t", "b"}
    assert not tidied.graph.value_info  # the one there named an initializer


def test_torchscript_names_are_read_too() -> None:
    node = helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["y"], "/bert/layer.0/query/MatMul")
    tidied = tidy(graph_of(node, weights={"onnx::MatMul_7": WEIGHT.T.copy()}))
    assert [product.module for product in weight_products(tidied)] == ["bert.layer.0.query"]


def test_two_products_of_one_module_are_an_error() -> None:
    first = scoped(helper.make_node("MatMul", ["x", "w"], ["h"], "one"), "a", "linear")
    second = scoped(helper.make_node("MatMul", ["h", "v"], ["y"], "two"), "a", "linear_1")
    weights = {"w": np.eye(2, dtype=np.float32), "v": WEIGHT.T.copy()}
    with pytest.raises(ExportError, match="two weight products of the module a"):
        tidy(graph_of(first, second, weights=weights))


def test_the_given_graph_is_left_as_it_was() -> None:
    graph = graph_of(gemm(), weights={"w": WEIGHT, "b": np.ones(3, np.float32)})
    before = graph.SerializeToString()
    tidy(graph)
    assert graph.SerializeToString() == before


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
