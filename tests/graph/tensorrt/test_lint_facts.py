"""What the lint's rules read, looked up in a quantized product written by hand."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bertcompress.graph.tensorrt.lint_facts import FLOAT, FLOAT16, INT8, Facts
from bertcompress.graph.tensorrt.target import TARGETS


@pytest.fixture
def graph() -> onnx.ModelProto:
    """``y = tanh(dq(q(x)) dq(w))``, and its product again with a float weight."""
    quantized = ["scale", "zero"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", *quantized], ["x.q"], "quantize"),
        helper.make_node("DequantizeLinear", ["x.q", *quantized], ["x.dq"], "activation"),
        helper.make_node("DequantizeLinear", ["w", *quantized], ["w.dq"], "weight"),
        helper.make_node("MatMul", ["x.dq", "w.dq"], ["xw"], "product"),
        helper.make_node("MatMul", ["x.dq", "v"], ["xv"], "float product"),
        helper.make_node("MatMul", ["xw", "xv"], ["scores"], "scores"),
        helper.make_node("Tanh", ["scores"], ["y"], "tanh"),
    ]
    named = {
        "scale": np.float32(0.1),
        "zero": np.int8(0),
        "w": np.ones((4, 3), np.int8),
        "v": np.ones((4, 5), np.float32),
    }
    made = helper.make_graph(
        nodes,
        "facts",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3, 5])],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in named.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.fixture
def facts(graph: onnx.ModelProto) -> Facts:
    return Facts(graph, TARGETS["10.14"])


def node_named(facts: Facts, name: str) -> onnx.NodeProto:
    return next(node for node in facts.graph.graph.node if node.name == name)


def test_types_and_shapes_are_inferred(facts: Facts) -> None:
    assert (facts.type_of("x"), facts.type_of("x.q"), facts.type_of("w")) == (FLOAT, INT8, INT8)
    assert facts.shape_of("xw") == (None, 3, 3)
    assert facts.shape_of("w") == (4, 3)
    assert (facts.type_of("nowhere"), facts.shape_of("nowhere")) == (0, ())
    assert not facts.is_half


def test_what_was_written_into_the_graph_is_not_believed(graph: onnx.ModelProto) -> None:
    graph.graph.value_info.append(helper.make_tensor_value_info("xw", FLOAT16, [7, 7]))

    assert Facts(graph, TARGETS["10.14"]).shape_of("xw") == (None, 3, 3)


def test_a_graph_that_is_not_valid_has_no_types_but_a_sentence(graph: onnx.ModelProto) -> None:
    graph.graph.node[0].input[0] = "nowhere"

    facts = Facts(graph, TARGETS["10.14"])

    assert isinstance(facts.inferred, str)
    assert "\n" not in facts.inferred
    assert facts.type_of("xw") == 0
    assert facts.type_of("w") == INT8  # a constant says its own


def test_makers_and_readers_are_found(facts: Facts) -> None:
    assert facts.makers["xw"].name == "product"
    assert [node.name for node in facts.readers["x.dq"]] == ["product", "float product"]
    assert [node.name for node in facts.quantizers()] == ["quantize", "activation", "weight"]
    assert [node.name for node in facts.products()] == ["product", "float product", "scores"]


def test_a_weight_is_found_through_its_dequantizer(facts: Facts) -> None:
    weights = {node.name: facts.weight_of(node) for node in facts.products()}

    assert weights == {"product": "w", "float product": "v", "scores": None}
    values = facts.values_of("w")
    assert values is not None
    assert values.shape == (4, 3)
    assert facts.values_of("xw") is None


def test_the_source_of_a_pair_is_what_was_quantized(facts: Facts) -> None:
    found = {name: facts.source_of(node_named(facts, name)) for name in ("activation", "weight")}

    assert found == {"activation": "x", "weight": "w"}
    assert facts.dequantized("x.q") is None
