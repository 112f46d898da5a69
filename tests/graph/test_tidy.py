"""Tidying an exporter's graph: Gemm to MatMul, names, what is left out."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bertcompress.errors import ExportError
from bertcompress.graph.products import weight_products
from bertcompress.graph.tidy import SCOPES_KEY, tidy

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
