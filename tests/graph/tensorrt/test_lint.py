"""Each rule of the lint fires on a graph that was altered to break it, and on no finished graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import ml_dtypes
import numpy as np
import onnx
import pytest
import transformers
from onnx import TensorProto, helper, numpy_helper

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.edit import copy_of
from bertcompress.graph.tensorrt.lint import RULES, lint
from bertcompress.graph.tensorrt.lint_facts import Facts
from bertcompress.graph.tensorrt.target import TARGETS

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)

Make = Callable[..., onnx.ModelProto]
Mutate = Callable[[onnx.ModelProto], None]

QUERY = "bert.encoder.layer.0.attention.self.query"
WEIGHT = f"{QUERY}.weight_t"


def found_in(
    graph: onnx.ModelProto,
    *,
    target: str = "10.14",
    quantized: Iterable[str] = (QUERY,),
    longest: int | None = 128,
) -> dict[str, list[str]]:
    """Returns the errors of a graph by rule."""
    errors: dict[str, list[str]] = {}
    for one in lint(graph, TARGETS[target], quantized=quantized, longest=longest):
        if one.severity == "error":
            errors.setdefault(one.rule, []).append(one.sentence)
    return errors


def node_named(graph: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in graph.graph.node if node.name == name)


def first(graph: onnx.ModelProto, kind: str) -> onnx.NodeProto:
    return next(node for node in graph.graph.node if node.op_type == kind)


def set_constant(graph: onnx.ModelProto, name: str, values: np.ndarray) -> None:
    tensor = next(one for one in graph.graph.initializer if one.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values), name))


# --- finished graphs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "target", "attention"),
    [
        ("int8", "10.14", False),
        ("int8", "10.14", True),
        ("int8", "10.0", True),
        ("int8", "8.6", False),
        ("int8", "8.5", True),
        ("fp8", "10.14", False),
        ("fp8", "10.0", False),
        ("fp16", "10.14", False),
        ("fp16", "8.5", False),
        ("bf16", "10.0", False),
    ],
)
def test_a_finished_graph_breaks_no_rule(
    precision: str, target: str, attention: bool, for_tensorrt: Make
) -> None:
    graph = for_tensorrt(precision=precision, target=target, attention=attention)
    quantized = [QUERY] if precision in ("int8", "fp8") else []
    assert found_in(graph, target=target, quantized=quantized) == {}


def test_a_graph_for_onnx_runtime_is_none_for_tensorrt(
    tiny_graph: Callable[..., OnnxModel],
) -> None:
    from bertcompress.passes.quantize.quantize_weights import QuantizeWeights

    graph = QuantizeWeights(bits=4)(tiny_graph()).graph
    assert {"opset", "operators", "inputs"} <= set(found_in(graph))


# --- mutations ------------------------------------------------------------------------------------


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


def island(graph: onnx.ModelProto) -> None:
    tanh = first(graph, "Tanh")
    at = list(graph.graph.node).index(tanh)
    source, result = tanh.input[0], tanh.output[0]
    tanh.input[0], tanh.output[0] = "wide", "wide.tanh"
    before = helper.make_node("Cast", [source], ["wide"], "before", to=TensorProto.FLOAT)
    after = helper.make_node("Cast", ["wide.tanh"], [result], "after", to=TensorProto.FLOAT16)
    graph.graph.node.insert(at + 1, after)
    graph.graph.node.insert(at, before)


def mixed_types(graph: onnx.ModelProto) -> None:
    set_constant(graph, first(graph, "LayerNormalization").input[2], np.zeros(32, np.float32))


def not_sorted(graph: onnx.ModelProto) -> None:
    first(graph, "Tanh").input[0] = "nowhere"


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
    sentences = found_in(graph).get(rule, [])
    assert any(words in sentence for sentence in sentences), found_in(graph)


def test_every_rule_has_a_test() -> None:
    tested = {
        *("precision", "attention", "widths"),  # below
        *(rule for _, rule, _ in MUTATIONS),
    }
    names = {"zero_points": "zero point", "scales": "scale", "axes": "axis"}
    assert {names.get(rule.__name__, rule.__name__) for rule in RULES} == tested


def test_a_float32_graph_is_none_for_a_strongly_typed_engine(
    tiny_graph: Callable[..., OnnxModel],
) -> None:
    (sentence,) = found_in(tiny_graph().graph, quantized=())["precision"]
    assert "would run it in float32" in sentence


@pytest.mark.parametrize("values", [np.ones((2, 2), np.int8), np.ones(3, np.float16)])
def test_version_8_takes_no_stored_integers_and_no_half(
    values: np.ndarray, for_tensorrt: Make
) -> None:
    graph = for_tensorrt(target="8.6")
    graph.graph.initializer.append(numpy_helper.from_array(values, "stored"))
    (sentence,) = found_in(graph, target="8.6")["precision"]
    assert sentence.startswith("stored is stored in a type")


def test_int8_attention_of_long_texts_is_told(for_tensorrt: Make) -> None:
    graph = for_tensorrt(attention=True)
    assert found_in(graph, longest=512) == {}
    for longest in (513, None):
        assert len(found_in(graph, longest=longest)["attention"]) == 4


def test_fp8_attention_of_small_heads_is_told(for_tensorrt: Make) -> None:
    graph = for_tensorrt(attention=True)
    for tensor in graph.graph.initializer:  # an INT8 graph with heads of 8, said to be FP8
        if tensor.data_type == TensorProto.INT8:
            shape = tuple(tensor.dims)
            zeros = np.zeros(shape, ml_dtypes.float8_e4m3fn)
            tensor.CopyFrom(numpy_helper.from_array(zeros, tensor.name))
    sentences = found_in(graph)["attention"]
    assert all("heads of 8; TensorRT fuses 9 to 256" in sentence for sentence in sentences)


def test_products_with_a_vector_are_told(for_tensorrt: Make) -> None:
    graph = for_tensorrt(attention=True)
    for tensor in graph.graph.initializer:
        if tensor.name.endswith(".split"):
            set_constant(graph, tensor.name, np.int64([0, 0, 32, 1]))
    sentences = found_in(graph)["attention"]
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


def test_errors_come_first_and_the_graph_is_left_alone(for_tensorrt: Make) -> None:
    graph = for_tensorrt()
    zero_point_of_12(graph)
    before = copy_of(graph)
    severities = [one.severity for one in lint(graph, TARGETS["10.14"])]
    assert severities == sorted(severities)
    assert set(severities) == {"error", "slow"}
    assert graph == before
