"""Each thing that exporters write in another way, on graphs of a few nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bertcompress.errors import LoadError
from bertcompress.graph.normal_form import normal_form
from bertcompress.graph.products import weight_products
from bertcompress.runtimes.ort.runtime import run_graph

IDS = np.array([[1, 2, 0], [3, 1, 2]])
TABLE = np.arange(20, dtype=np.float32).reshape(5, 4) / 7
WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3) / 11
PATH = "/net/bert/encoder/layer.0/output/dense/MatMul"


def _graph(
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, np.ndarray[Any, Any]],
    *,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    kind: int = TensorProto.INT64,
) -> onnx.ModelProto:
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "foreign",
        [info(name, kind, ["b", "s"]) for name in inputs],
        [info("output_0", TensorProto.FLOAT, ["b", "s", 3])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _ours(graph: onnx.ModelProto, **facts: Any) -> onnx.ModelProto:
    return normal_form(graph, name="g", task="token-classification", **facts)


def _run(graph: onnx.ModelProto) -> Any:
    (found,) = run_graph(graph, [{"input_ids": IDS, "attention_mask": IDS * 0 + 1}])
    return found["logits"]


def test_constants_transposes_and_identities_become_initializers() -> None:
    value = numpy_helper.from_array(TABLE, "t")
    nodes = [
        helper.make_node("Constant", [], ["table"], value=value),
        helper.make_node("Constant", [], ["one"], value_float=1.0),
        helper.make_node("Transpose", ["w"], ["w.t"], perm=[1, 0]),
        helper.make_node("Identity", ["w.t"], ["w.same"]),
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Add", ["rows", "one"], ["more"]),
        helper.make_node("MatMul", ["more", "w.same"], ["output_0"], PATH),
    ]

    ours = _ours(_graph(nodes, {"w": WEIGHT.T.copy()}))

    assert [node.op_type for node in ours.graph.node] == ["Gather", "Add", "MatMul"]
    assert len({node.name for node in ours.graph.node}) == 3
    np.testing.assert_allclose(_run(ours), (TABLE[IDS] + 1) @ WEIGHT, atol=1e-6)


@pytest.mark.parametrize(
    ("node", "weight", "bias", "module"),
    [
        (PATH, "onnx::MatMul_7", "b", "bert.encoder.layer.0.output.dense"),
        ("MatMul_7", "a.b.dense.weight", "b", "a.b.dense"),
        ("MatMul_7", "a.b.dense.weight_transposed", "b", "a.b.dense"),
        ("node_linear", "val_3", "a.b.dense.bias", "a.b.dense"),
        ("node_linear", "val_3", "val_4", "node_linear"),
        ("", "val_3", "val_4", "MatMul.1"),
    ],
)
def test_a_product_is_named_by_what_tells_its_module(
    node: str, weight: str, bias: str, module: str
) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", weight], ["product"], node),
        helper.make_node("Add", [bias, "product"], ["output_0"]),
    ]
    weights = {"table": TABLE, weight: WEIGHT, bias: np.ones(3, np.float32)}

    ours = _ours(_graph(nodes, weights))

    (product,) = weight_products(ours)
    assert (product.module, product.weight) == (module, f"{module}.weight_t")
    np.testing.assert_allclose(_run(ours), TABLE[IDS] @ WEIGHT + 1, atol=1e-6)


def test_two_products_of_one_module_have_names_of_their_own() -> None:
    square = np.eye(4, dtype=np.float32) * 2
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "a.b.weight"], ["twice"]),
        helper.make_node("MatMul", ["twice", "a.b.weight"], ["again"]),
        helper.make_node("MatMul", ["again", "w"], ["output_0"], PATH),
    ]

    ours = _ours(_graph(nodes, {"table": TABLE, "a.b.weight": square, "w": WEIGHT}))

    assert [one.module for one in weight_products(ours)][:2] == ["a.b", "a.b.again"]
    np.testing.assert_allclose(_run(ours), 4 * TABLE[IDS] @ WEIGHT, atol=1e-5)


def test_a_scaled_bias_is_left_to_the_operator_that_scales_it() -> None:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Reshape", ["rows", "flat"], ["flattened"]),
        helper.make_node("Gemm", ["flattened", "w", "b"], ["product"], PATH, beta=3.0),
        helper.make_node("Reshape", ["product", "back"], ["output_0"]),
    ]
    weights = {
        "table": TABLE,
        "w": WEIGHT,
        "b": np.ones(3, np.float32),
        "flat": np.array([-1, 4]),
        "back": np.array([2, 3, 3]),
    }

    ours = _ours(_graph(nodes, weights))

    np.testing.assert_allclose(_run(ours), TABLE[IDS] @ WEIGHT + 3, atol=1e-6)


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32])
def test_positions_and_unused_segments_are_made_in_the_graph(kind: int) -> None:
    nodes = [
        helper.make_node("Add", ["position_ids", "segment_ids"], ["places"]),
        helper.make_node("Gather", ["table", "places"], ["rows"]),
        helper.make_node("Gather", ["table", "ids"], ["words"]),
        helper.make_node("Add", ["rows", "words"], ["both"]),
        helper.make_node("MatMul", ["both", "w"], ["output_0"], PATH),
    ]
    inputs = ("ids", "attention_mask", "segment_ids", "position_ids")

    ours = _ours(
        _graph(nodes, {"table": TABLE, "w": WEIGHT}, inputs=inputs, kind=kind),
        segments=False,
        first_position=2,
    )

    assert [value.name for value in ours.graph.input] == ["input_ids", "attention_mask"]
    wanted = (TABLE[IDS] + TABLE[[2, 3, 4]]) @ WEIGHT
    np.testing.assert_allclose(_run(ours), wanted, atol=1e-6)


def test_weights_listed_as_inputs_are_weights() -> None:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "w"], ["output_0"], PATH),
    ]
    graph = _graph(nodes, {"table": TABLE, "w": WEIGHT})
    info = helper.make_tensor_value_info
    graph.graph.input.append(info("w", TensorProto.FLOAT, [4, 3]))

    assert [value.name for value in _ours(graph).graph.input] == ["input_ids", "attention_mask"]


def test_an_input_that_says_nothing_is_refused() -> None:
    nodes = [helper.make_node("Gather", ["table", "x"], ["output_0"])]
    graph = _graph(nodes, {"table": TABLE[:, :3].copy()}, inputs=("x", "y"))

    with pytest.raises(LoadError, match="g takes the inputs x, y, and it is not known what"):
        _ours(graph)
