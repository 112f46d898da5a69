"""Each rule about the graph as a whole fires on a graph that was altered to break it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import transformers
from onnx import TensorProto, helper, numpy_helper

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.tensorrt import lint_types
from bertcompress.graph.tensorrt.lint import RULES
from fixtures.lint import breaches, first, set_constant

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)

Make = Callable[..., onnx.ModelProto]
Mutate = Callable[[onnx.ModelProto], None]


def newer_opset(graph: onnx.ModelProto) -> None:
    graph.opset_import[0].version = 24


def older_opset(graph: onnx.ModelProto) -> None:
    graph.opset_import[0].version = 12


def foreign_domain(graph: onnx.ModelProto) -> None:
    graph.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def unknown_operator(graph: onnx.ModelProto) -> None:
    first(graph, "Tanh").op_type = "Softsign"


def wrong_type(graph: onnx.ModelProto) -> None:
    first(graph, "Tanh").input[0] = "input_ids"


def mixed_types(graph: onnx.ModelProto) -> None:
    set_constant(graph, first(graph, "LayerNormalization").input[2], np.zeros(32, np.float32))


def not_sorted(graph: onnx.ModelProto) -> None:
    first(graph, "Tanh").input[0] = "nowhere"


def island(graph: onnx.ModelProto) -> None:
    tanh = first(graph, "Tanh")
    at = list(graph.graph.node).index(tanh)
    source, result = tanh.input[0], tanh.output[0]
    tanh.input[0], tanh.output[0] = "wide", "wide.tanh"
    before = helper.make_node("Cast", [source], ["wide"], "before", to=TensorProto.FLOAT)
    after = helper.make_node("Cast", ["wide.tanh"], [result], "after", to=TensorProto.FLOAT16)
    graph.graph.node.insert(at + 1, after)
    graph.graph.node.insert(at, before)


def half_sums(graph: onnx.ModelProto) -> None:
    node = first(graph, "LayerNormalization")
    for one in list(node.attribute):
        if one.name == "stash_type":
            node.attribute.remove(one)
    node.attribute.append(helper.make_attribute("stash_type", TensorProto.FLOAT16))


def half_mean(graph: onnx.ModelProto) -> None:
    tanh = first(graph, "Tanh")
    del tanh.attribute[:]
    tanh.op_type = "Pow"
    tanh.input.append(tanh.input[0])


def infinite_constant(graph: onnx.ModelProto) -> None:
    name = first(graph, "LayerNormalization").input[2]
    set_constant(graph, name, np.full(32, -np.inf, np.float16))


MUTATIONS: list[tuple[Mutate, str, str]] = [
    (newer_opset, "opset", "written in opset 24, TensorRT 10.14 reads 13 to 23"),
    (older_opset, "opset", "written in opset 12, TensorRT 10.14 reads 13 to 23"),
    (foreign_domain, "opset", "com.microsoft"),
    (unknown_operator, "operators", "Softsign"),
    (wrong_type, "types", "Tanh node_tanh takes no tensor(int64) as its input"),
    (mixed_types, "types", "mixes tensor(float16) and tensor(float)"),
    (not_sorted, "types", "not valid"),
    (island, "islands", "float32 amid operators in half precision"),
    (half_sums, "sums", "stash_type must be 1"),
    (half_mean, "sums", "Pow"),
    (infinite_constant, "constants", "infinity or NaN"),
]


@pytest.mark.parametrize(
    ("mutate", "rule", "words"), MUTATIONS, ids=[one[0].__name__ for one in MUTATIONS]
)
def test_a_broken_rule_is_told(mutate: Mutate, rule: str, words: str, for_tensorrt: Make) -> None:
    graph = for_tensorrt()
    mutate(graph)
    sentences = breaches(graph).get(rule, [])
    assert any(words in sentence for sentence in sentences), breaches(graph)


def test_every_rule_has_a_test() -> None:
    tested = {"precision", *(rule for _, rule, _ in MUTATIONS)}
    rules = {rule.__name__ for rule in RULES if rule.__module__ == lint_types.__name__}
    assert rules == tested


def test_a_float32_graph_is_none_for_a_strongly_typed_engine(
    tiny_graph: Callable[..., OnnxModel],
) -> None:
    (sentence,) = breaches(tiny_graph().graph, quantized=())["precision"]
    assert "would run it in float32" in sentence


@pytest.mark.parametrize("values", [np.ones((2, 2), np.int8), np.ones(3, np.float16)])
def test_version_8_takes_no_stored_integers_and_no_half(
    values: np.ndarray, for_tensorrt: Make
) -> None:
    graph = for_tensorrt(target="8.6")
    graph.graph.initializer.append(numpy_helper.from_array(values, "stored"))
    (sentence,) = breaches(graph, target="8.6")["precision"]
    assert sentence.startswith("stored is stored in a type")
