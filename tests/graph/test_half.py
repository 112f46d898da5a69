"""A graph in half precision: the same answers, float32 outputs, sums that stay wide."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import transformers
from onnx import TensorProto, helper, numpy_helper

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import ExportError
from bertcompress.graph.edit import copy_of
from bertcompress.graph.half import HalfKind, emulated, to_half
from bertcompress.runtimes.ort.runtime import run_graph

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)

Graphs = Callable[..., OnnxModel]
TOLERANCE = {"float16": 5e-3, "bfloat16": 5e-2}
KINDS: tuple[HalfKind, ...] = ("float16", "bfloat16")


def feed_of(batch: int = 3, length: int = 9) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    mask = np.ones((batch, length), dtype=np.int64)
    mask[0, 1:] = 0
    return {
        "input_ids": generator.integers(5, 80, (batch, length)),
        "attention_mask": mask,
        "token_type_ids": np.zeros((batch, length), dtype=np.int64),
    }


def halved(graph: onnx.ModelProto, kind: HalfKind) -> onnx.ModelProto:
    copy = copy_of(graph)
    to_half(copy, kind)
    return copy


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["text-classification", "question-answering"])
def test_the_answers_are_those_of_float32(kind: HalfKind, task: str, tiny_graph: Graphs) -> None:
    graph = tiny_graph(task=task).graph
    half = halved(graph, kind)

    (expected,) = run_graph(graph, [feed_of()])
    (got,) = run_graph(emulated(half), [feed_of()], as_written=True)

    for name, values in expected.items():
        error = np.linalg.norm(values - got[name]) / np.linalg.norm(values)
        assert 0 < error < TOLERANCE[kind]
        assert got[name].dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_float32_is_left_inside(kind: HalfKind, tiny_graph: Graphs) -> None:
    half = halved(tiny_graph().graph, kind)

    onnx.checker.check_model(half, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(half, strict_mode=True)
    wide = [
        value.name
        for value in inferred.graph.value_info
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    ]
    assert wide == []
    assert all(one.data_type != TensorProto.FLOAT for one in half.graph.initializer)
    assert [value.type.tensor_type.elem_type for value in half.graph.output] == [TensorProto.FLOAT]


def test_onnx_runtimes_own_converter_gives_the_same_answers(tiny_graph: Graphs) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    graph = tiny_graph().graph
    stock = convert_float_to_float16(copy_of(graph), keep_io_types=True)

    (expected,) = run_graph(stock, [feed_of()], as_written=True)
    (got,) = run_graph(halved(graph, "float16"), [feed_of()], as_written=True)

    np.testing.assert_array_equal(expected["logits"], got["logits"])


@pytest.mark.parametrize("kind", KINDS)
def test_emulated_is_what_the_reference_evaluator_computes(kind: HalfKind) -> None:
    from onnx.reference import ReferenceEvaluator

    generator = np.random.default_rng(1)
    weight = generator.normal(size=(8, 4)).astype(np.float32)
    graph = small(
        [
            helper.make_node("MatMul", ["x32", "w"], ["product"]),
            helper.make_node("Add", ["product", "b"], ["y"]),
        ],
        {"w": weight, "b": np.float32([0.1, 0.2, 0.3, 0.4])},
    )
    half = halved(graph, kind)
    values = generator.integers(-4, 4, (5, 8))

    (expected,) = ReferenceEvaluator(half).run(None, {"x": values})
    (got,) = run_graph(emulated(half), [{"x": values}], as_written=True)

    np.testing.assert_allclose(got["y"], expected, rtol=2**-7 if kind == "bfloat16" else 2**-10)
    unused = 16 if kind == "bfloat16" else 13  # the lowest bits of float32, which the type has not
    assert not np.any(got["y"].view(np.uint32) & ((1 << unused) - 1))


def test_a_weight_past_the_type_is_refused() -> None:
    graph = small([helper.make_node("Mul", ["x32", "w"], ["y"])], {"w": np.float32([7e4])})
    with pytest.raises(ExportError, match=r"w holds values up to 7e\+04.*bf16"):
        to_half(copy_of(graph), "float16")
    to_half(graph, "bfloat16")


def test_an_output_that_is_read_inside_is_cast_once() -> None:
    graph = small([helper.make_node("Mul", ["x32", "w"], ["y"])], {"w": np.float32([2.0])})
    graph.graph.node.append(helper.make_node("Tanh", ["y"], ["z"]))
    graph.graph.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    to_half(graph, "float16")

    (got,) = run_graph(emulated(graph), [{"x": np.int64([[3]])}], as_written=True)

    assert got["y"] == 6
    assert got["z"] == np.float32(np.float16(np.tanh(6)))


def test_every_result_is_rounded() -> None:
    graph = small(
        [helper.make_node("Tanh", ["x32"], ["t"]), helper.make_node("Mul", ["t", "w"], ["y"])],
        {"w": np.float32([2.0])},
    )
    to_half(graph, "float16")
    values = np.arange(-5, 5)[:, None]

    (got,) = run_graph(emulated(graph), [{"x": values}], as_written=True)

    tanh = np.tanh(values.astype(np.float32)).astype(np.float16)
    np.testing.assert_array_equal(got["y"], (tanh * np.float16(2)).astype(np.float32))


def test_a_float32_graph_is_emulated_by_itself(tiny_graph: Graphs) -> None:
    graph = tiny_graph().graph
    (expected,) = run_graph(graph, [feed_of()], as_written=True)
    (got,) = run_graph(emulated(graph), [feed_of()], as_written=True)
    np.testing.assert_array_equal(expected["logits"], got["logits"])


def small(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    """Returns a graph whose float tensor ``x32`` is made of an integer input ``x``."""
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["x32"], to=TensorProto.FLOAT), *nodes],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["n", "k"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
