"""Q/DQ graphs: rewritten exactly, against ONNX Runtime and against plain NumPy."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bertcompress.graph.edit import copy_of
from bertcompress.graph.integer.foreign_qdq import (
    is_quantized,
    quantize_weight,
    settle_products,
    share_quantizations,
    unsigned_activations,
    without_pairs,
)
from bertcompress.graph.products import weight_products
from bertcompress.runtimes.ort.runtime import run_graph

WIDTH, OUT = 5, 3


def float_graph(shape: tuple[object, ...]) -> onnx.ModelProto:
    """Two products of one input, with weights that a fixed seed draws."""
    generator = np.random.default_rng(3)
    weights = [
        numpy_helper.from_array(
            generator.normal(size=(WIDTH, OUT)).astype(np.float32), f"{name}.weight_t"
        )
        for name in ("left", "right")
    ]
    nodes = [
        helper.make_node("MatMul", ["x", f"{name}.weight_t"], [f"{name}.out"], name)
        for name in ("left", "right")
    ]
    outputs = [
        helper.make_tensor_value_info(f"{name}.out", TensorProto.FLOAT, None)
        for name in ("left", "right")
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)


def with_pairs(
    graph: onnx.ModelProto, *, scale: float = 0.02, zero_points: tuple[int, int] = (-9, -9)
) -> onnx.ModelProto:
    """Quantizes both products as NNCF does: a pair of signed activations for each."""
    copy = copy_of(graph)
    nodes = []
    for node, zero in zip(list(copy.graph.node), zero_points, strict=True):
        name, weight = node.name, node.input[1]
        values = numpy_helper.to_array(
            next(one for one in copy.graph.initializer if one.name == weight)
        )
        scales = np.abs(values).max(axis=0) / np.float32(63)  # sums are exact without VNNI too
        new = {
            f"{name}.s": np.float32(scale),
            f"{name}.z": np.int8(zero),
            f"{name}.ws": scales,
            f"{name}.wz": np.zeros(OUT, np.int8),
            f"{name}.wq": np.rint(values / scales).astype(np.int8),
        }
        copy.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(one), key) for key, one in new.items()
        )
        pair, weights = [f"{name}.s", f"{name}.z"], [f"{name}.wq", f"{name}.ws", f"{name}.wz"]
        nodes += [
            helper.make_node("QuantizeLinear", ["x", *pair], [f"{name}.q"], f"{name}.q"),
            helper.make_node("DequantizeLinear", [f"{name}.q", *pair], [f"{name}.dq"], f"{name}.d"),
            helper.make_node("DequantizeLinear", weights, [f"{name}.wdq"], f"{name}.w", axis=-1),
            helper.make_node("MatMul", [f"{name}.dq", f"{name}.wdq"], list(node.output), name),
        ]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def values_of(shape: tuple[int, ...], seed: int = 0) -> dict[str, NDArray[np.float32]]:
    return {"x": np.random.default_rng(seed).normal(size=shape).astype(np.float32) * 3}


def count(graph: onnx.ModelProto, kind: str) -> int:
    return Counter(node.op_type for node in graph.graph.node)[kind]


@settings(max_examples=40)
@given(
    scale=st.floats(2**-12, 2**12, width=32),
    zero=st.integers(-128, 127),
    seed=st.integers(0, 1000),
)
def test_unsigned_activations_are_the_same_numbers_to_the_bit(
    scale: float, zero: int, seed: int
) -> None:
    pair = [
        numpy_helper.from_array(np.float32(scale), "s"),
        numpy_helper.from_array(np.int8(zero), "z"),
    ]
    graph = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], "q"),
                helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], "d"),
            ],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
            pair,
        ),
        opset_imports=[helper.make_opsetid("", 23)],
        ir_version=10,
    )
    feed = {"x": np.random.default_rng(seed).normal(size=64).astype(np.float32) * scale * 100}
    (before,) = run_graph(graph, [feed])

    assert unsigned_activations(graph) == 1

    (after,) = run_graph(graph, [feed])
    np.testing.assert_array_equal(before["y"], after["y"])
    (zero_point,) = (one for one in graph.graph.initializer if one.name == "z")
    assert numpy_helper.to_array(zero_point) == np.uint8(zero + 128)
    assert unsigned_activations(graph) == 0


def test_signed_weights_stay_signed() -> None:
    graph = with_pairs(float_graph(("b", "s", WIDTH)))
    assert unsigned_activations(graph) == 2
    types = {one.name: one.data_type for one in graph.graph.initializer}
    assert types["left.wz"] == types["left.wq"] == TensorProto.INT8


def test_equal_quantizations_of_a_tensor_become_one() -> None:
    graph = with_pairs(float_graph(("b", "s", WIDTH)))
    feed = values_of((2, 4, WIDTH))
    (before,) = run_graph(graph, [feed])

    share_quantizations(graph)

    (after,) = run_graph(graph, [feed])
    assert count(graph, "QuantizeLinear") == 1
    np.testing.assert_allclose(after["right.out"], before["right.out"], rtol=1e-5, atol=1e-6)


def test_different_quantizations_of_a_tensor_stay() -> None:
    graph = with_pairs(float_graph(("b", "s", WIDTH)), zero_points=(-9, 4))
    share_quantizations(graph)
    assert count(graph, "QuantizeLinear") == 2


@pytest.mark.parametrize("portable", [True, False])
@pytest.mark.parametrize("shape", [(6, WIDTH), (2, 4, WIDTH)])
def test_settled_products_answer_as_before(shape: tuple[int, ...], portable: bool) -> None:
    source = float_graph((*"abc"[: len(shape) - 1], WIDTH))
    graph = with_pairs(source)
    feed = values_of(shape)
    (before,) = run_graph(graph, [feed])

    unsigned_activations(graph)
    settle_products(graph, weight_products(source), portable=portable)

    (after,) = run_graph(graph, [feed])
    assert count(graph, "MatMulInteger") == (2 if portable and len(shape) == 2 else 0)
    assert count(graph, "MatMulIntegerToFloat") == (0 if portable else 2)
    assert "left.weight_t.int8" in {one.name for one in graph.graph.initializer}
    assert not {"left.weight_t", "left.wq"} & {one.name for one in graph.graph.initializer}
    for name in before:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-5, atol=1e-5)


def test_a_spelled_out_product_is_the_sum_of_integers() -> None:
    source = float_graph(("b", WIDTH))
    graph = with_pairs(source, scale=0.05, zero_points=(3, 3))
    unsigned_activations(graph)
    settle_products(graph, weight_products(source), portable=True)
    feed = values_of((4, WIDTH))

    (got,) = run_graph(graph, [feed])

    weight = numpy_helper.to_array(source.graph.initializer[0])
    scales = np.abs(weight).max(axis=0) / np.float32(63)
    integers = np.rint(weight / scales).astype(np.int64)
    steps = np.clip(np.rint(feed["x"] / np.float32(0.05)) + 131, 0, 255).astype(np.int64) - 131
    expected = (steps @ integers) * (np.float32(0.05) * scales)
    np.testing.assert_allclose(got["left.out"], expected, rtol=1e-6)


def test_what_is_quantized_is_told_apart() -> None:
    source = float_graph(("b", "s", WIDTH))
    left, right = weight_products(source)
    graph = with_pairs(source)
    next(node for node in graph.graph.node if node.name == "right").input[0] = "x"

    assert is_quantized(graph, left)
    assert not is_quantized(graph, right)
    assert not is_quantized(source, left)


def test_without_its_pairs_a_graph_is_in_float_again() -> None:
    source = float_graph(("b", "s", WIDTH))
    pairs = copy_of(source)
    pairs.graph.initializer.extend(
        [
            numpy_helper.from_array(np.float32(0.5), "s"),
            numpy_helper.from_array(np.int8(0), "z"),
        ]
    )
    quantize = helper.make_node("QuantizeLinear", ["left.weight_t", "s", "z"], ["q"], "q")
    dequantize = helper.make_node("DequantizeLinear", ["q", "s", "z"], ["dq"], "d")
    pairs.graph.node[0].input[1] = "dq"
    pairs.graph.node.insert(0, dequantize)
    pairs.graph.node.insert(0, quantize)
    feed = values_of((1, 3, WIDTH))
    (expected,), (coarse,) = run_graph(source, [feed]), run_graph(pairs, [feed])

    (got,) = run_graph(without_pairs(pairs), [feed])

    assert not np.array_equal(coarse["left.out"], expected["left.out"])
    np.testing.assert_array_equal(got["left.out"], expected["left.out"])
    assert without_pairs(pairs).graph.initializer == source.graph.initializer


def test_a_weight_alone_becomes_integers() -> None:
    graph = float_graph(("b", "s", WIDTH))
    left, right = weight_products(graph)
    feed = values_of((2, 3, WIDTH))
    (before,) = run_graph(graph, [feed])

    quantize_weight(graph, left)

    (after,) = run_graph(graph, [feed])
    error = np.abs(before["left.out"] - after["left.out"]).max()
    assert 0 < error < 0.02 * np.abs(before["left.out"]).max()
    np.testing.assert_array_equal(before["right.out"], after["right.out"])
    assert [one.module for one in weight_products(graph)] == [right.module]
