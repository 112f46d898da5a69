"""Each rule about Q/DQ pairs fires on a graph that was altered to break it."""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np
import onnx
import pytest
import transformers
from onnx import TensorProto, helper, numpy_helper

from bertcompress.graph.tensorrt import lint_qdq
from bertcompress.graph.tensorrt.lint import RULES, lint
from bertcompress.graph.tensorrt.lint_facts import Facts
from bertcompress.graph.tensorrt.target import TARGETS
from fixtures.lint import QUERY, WEIGHT, breaches, first, node_named, set_constant

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)

Make = Callable[..., onnx.ModelProto]
Mutate = Callable[[onnx.ModelProto], None]


def zero_point_of_12(graph: onnx.ModelProto) -> None:
    set_constant(graph, first(graph, "QuantizeLinear").input[2], np.int8(12))


def unsigned_zero_point(graph: onnx.ModelProto) -> None:
    set_constant(graph, first(graph, "QuantizeLinear").input[2], np.uint8(0))


def no_zero_point(graph: onnx.ModelProto) -> None:
    del first(graph, "QuantizeLinear").input[2]


def computed_zero_point(graph: onnx.ModelProto) -> None:
    first(graph, "QuantizeLinear").input[2] = "elsewhere"


def negative_scale(graph: onnx.ModelProto) -> None:
    set_constant(graph, f"{WEIGHT}.scale", np.full(32, -0.1, np.float16))


def computed_scale(graph: onnx.ModelProto) -> None:
    first(graph, "QuantizeLinear").input[1] = "elsewhere"


def scale_of_another_type(graph: onnx.ModelProto) -> None:
    set_constant(graph, first(graph, "QuantizeLinear").input[1], np.float32(0.1))


def too_few_zero_points(graph: onnx.ModelProto) -> None:
    set_constant(graph, f"{WEIGHT}.zero_point", np.zeros(31, np.int8))


def activation_by_channel(graph: onnx.ModelProto) -> None:
    node = first(graph, "QuantizeLinear")
    set_constant(graph, node.input[1], np.full(32, 0.1, np.float16))
    set_constant(graph, node.input[2], np.zeros(32, np.int8))


def weight_by_input(graph: onnx.ModelProto) -> None:
    next(one for one in node_named(graph, f"{WEIGHT}.dq").attribute if one.name == "axis").i = 0


def scales_too_few(graph: onnx.ModelProto) -> None:
    set_constant(graph, f"{WEIGHT}.scale", np.full(16, 0.1, np.float16))
    set_constant(graph, f"{WEIGHT}.zero_point", np.zeros(16, np.int8))


def float_activation(graph: onnx.ModelProto) -> None:
    node_named(graph, QUERY).input[0] = first(graph, "QuantizeLinear").input[0]


def float_product(graph: onnx.ModelProto) -> None:
    float_activation(graph)
    weight = np.zeros((32, 32), np.float16)
    graph.graph.initializer.append(numpy_helper.from_array(weight, "float weight"))
    node_named(graph, QUERY).input[1] = "float weight"


def renamed_product(graph: onnx.ModelProto) -> None:
    node_named(graph, QUERY).name = "another"


def quantized_residual(graph: onnx.ModelProto) -> None:
    first(graph, "QuantizeLinear")
    node = node_named(graph, QUERY)
    reader = next(one for one in graph.graph.node if node.output[0] in one.input)
    reader.input[list(reader.input).index(node.output[0])] = node.input[0]


def tiny_weight(graph: onnx.ModelProto) -> None:
    set_constant(graph, f"{WEIGHT}.int8", np.zeros((32, 8), np.int8))
    set_constant(graph, f"{WEIGHT}.scale", np.full(8, 0.1, np.float16))
    set_constant(graph, f"{WEIGHT}.zero_point", np.zeros(8, np.int8))


def quantized_vector(graph: onnx.ModelProto) -> None:
    pooler = node_named(graph, "bert.pooler.dense")
    activation, weight = node_named(graph, f"{QUERY}"), pooler.input[1]
    template = node_named(graph, activation.input[0])
    quantize = next(one for one in graph.graph.node if template.input[0] in one.output)
    at = list(graph.graph.node).index(pooler)
    for source, copy, result in ((pooler.input[0], quantize, "p.q"), ("p.q", template, "p.dq")):
        new = onnx.NodeProto()
        new.CopyFrom(copy)
        new.name, new.input[0], new.output[0] = result, source, result
        graph.graph.node.insert(at, new)
        at += 1
    pooler.input[0] = "p.dq"
    integers = np.zeros((32, 32), np.int8)
    graph.graph.initializer.append(numpy_helper.from_array(integers, "p.int8"))
    inputs = ["p.int8", f"{WEIGHT}.scale", f"{WEIGHT}.zero_point"]
    graph.graph.node.insert(at, helper.make_node("DequantizeLinear", inputs, [weight], "p", axis=1))
    for tensor in list(graph.graph.initializer):
        if tensor.name == weight:
            graph.graph.initializer.remove(tensor)


MUTATIONS: list[tuple[Mutate, str, str]] = [
    (zero_point_of_12, "zero point", "is 12; TensorRT is symmetric"),
    (unsigned_zero_point, "zero point", "type uint8"),
    (no_zero_point, "zero point", "unsigned integers"),
    (computed_zero_point, "zero point", "not a constant"),
    (negative_scale, "scale", "not a number above 0"),
    (computed_scale, "scale", "not a constant"),
    (scale_of_another_type, "scale", "of another type"),
    (too_few_zero_points, "scale", "32 scales and 31 zero points"),
    (activation_by_channel, "axis", "TensorRT takes one a tensor"),
    (weight_by_input, "axis", "along axis 0"),
    (scales_too_few, "axis", "16 scales along axis 1"),
    (float_activation, "inputs", "one quantized input of two"),
    (float_product, "inputs", "none of its inputs is"),
    (renamed_product, "inputs", "there is no product"),
    (quantized_residual, "outputs", "goes into Add"),
    (tiny_weight, "sizes", "[32, 8], below 16"),
    (quantized_vector, "sizes", "one row a text"),
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
    tested = {"attention", "widths", *(rule for _, rule, _ in MUTATIONS)}
    rules = {rule.__name__ for rule in RULES if rule.__module__ == lint_qdq.__name__}
    assert {
        {"zero_points": "zero point", "scales": "scale", "axes": "axis"}.get(name, name)
        for name in rules
    } == tested


def test_int8_attention_of_long_texts_is_told(for_tensorrt: Make) -> None:
    graph = for_tensorrt(attention=True)
    assert breaches(graph, longest=512) == {}
    for longest in (513, None):
        assert len(breaches(graph, longest=longest)["attention"]) == 4


def test_fp8_attention_of_small_heads_is_told(for_tensorrt: Make) -> None:
    graph = for_tensorrt(attention=True)
    for tensor in graph.graph.initializer:  # an INT8 graph with heads of 8, said to be FP8
        if tensor.data_type == TensorProto.INT8:
            shape = tuple(tensor.dims)
            zeros = np.zeros(shape, ml_dtypes.float8_e4m3fn)
            tensor.CopyFrom(numpy_helper.from_array(zeros, tensor.name))
    sentences = breaches(graph)["attention"]
    assert all("heads of 8; TensorRT fuses 9 to 256" in sentence for sentence in sentences)


def test_products_with_a_vector_are_told(for_tensorrt: Make) -> None:
    graph = for_tensorrt(attention=True)
    for tensor in graph.graph.initializer:
        if tensor.name.endswith(".split"):
            set_constant(graph, tensor.name, np.int64([0, 0, 32, 1]))
    sentences = breaches(graph)["attention"]
    assert any("a product with a vector" in sentence for sentence in sentences)


@pytest.mark.parametrize(("precision", "step"), [("int8", 32), ("fp8", 16), ("fp16", 8)])
def test_odd_widths_are_slow_not_wrong(precision: str, step: int, for_tensorrt: Make) -> None:
    slow = lint(for_tensorrt(precision=precision), TARGETS["10.14"])
    assert [one.where for one in slow] == ["classifier"]  # its width is the number of labels

    graph = for_tensorrt(precision=precision)
    name = f"{WEIGHT}.{precision}" if precision != "fp16" else WEIGHT
    tensor = next(one for one in graph.graph.initializer if one.name == name)
    tensor.CopyFrom(
        numpy_helper.from_array(
            np.zeros((32, 40 + step // 8), numpy_helper.to_array(tensor).dtype), name
        )
    )
    facts = Facts(graph, TARGETS["10.14"])
    told = [one for rule in RULES if rule.__name__ == "widths" for one in rule(facts)]
    assert f"a width of {40 + step // 8}, no multiple of {step}" in told[0].sentence
