"""Symmetric scales in half precision, and FP8."""

from __future__ import annotations

import doctest

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError
from bertcompress.numerics import symmetric
from bertcompress.numerics.symmetric import (
    E4M3_LARGEST,
    INT8_LARGEST,
    HalfType,
    quantize_e4m3,
    symmetric_scale,
)

HALVES: tuple[HalfType, ...] = (np.float16, np.float32)
AMAX = st.floats(2.0**-10, 2.0**20, width=32)
VALUES = arrays(np.float32, st.integers(1, 30), elements=st.floats(-900, 900, width=32))
ALL_E4M3 = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32)


def test_examples_in_the_docstring() -> None:
    outcome = doctest.testmod(symmetric)
    assert (outcome.failed, outcome.attempted > 0) == (0, True)


@pytest.mark.parametrize("half", HALVES)
@given(amax=AMAX, largest=st.sampled_from((INT8_LARGEST, E4M3_LARGEST)))
def test_the_scale_is_the_smallest_of_its_type_that_clips_nothing(
    half: HalfType, amax: float, largest: float
) -> None:
    scale = half(symmetric_scale(amax, largest=largest, half=half))

    assert float(scale) * largest >= amax
    assert float(np.nextafter(scale, half(0))) * largest < amax


@pytest.mark.parametrize("half", HALVES)
def test_a_tensor_of_zeros_has_scale_one(half: HalfType) -> None:
    amax = np.float32([0.0, 2.0**-24])
    scales = symmetric_scale(amax, largest=INT8_LARGEST, half=half)
    assert scales[0] == 1
    assert 0 < scales[1] < 1e-6


@pytest.mark.parametrize("amax", [np.inf, np.nan, 1e9])
def test_values_without_a_scale_are_refused(amax: float) -> None:
    with pytest.raises(CalibrationError, match="no scale in float16"):
        symmetric_scale(amax, largest=INT8_LARGEST, half=np.float16)


@given(values=VALUES, scale=st.sampled_from([0.25, 1.0, 2.0]))
def test_e4m3_is_the_nearest_of_all_its_numbers(values: NDArray[np.float32], scale: float) -> None:
    got = quantize_e4m3(values, np.float32(scale)).astype(np.float32)

    finite = ALL_E4M3[np.isfinite(ALL_E4M3)]
    wanted = np.clip(values / np.float32(scale), -448, 448)
    nearest = np.abs(wanted[:, None] - finite[None, :]).min(axis=1)
    np.testing.assert_array_equal(np.abs(got - wanted), nearest)


def test_e4m3_is_what_onnx_runtime_makes() -> None:
    session = onnxruntime.InferenceSession(
        _e4m3_graph().SerializeToString(), providers=["CPUExecutionProvider"]
    )
    values = np.random.default_rng(0).normal(0, 200, 4000).astype(np.float32)
    scale = np.float32(0.75)

    (expected,) = session.run(None, {"x": values, "scale": np.asarray(scale)})

    np.testing.assert_array_equal(quantize_e4m3(values, scale).astype(np.float32) * scale, expected)


def _e4m3_graph() -> onnx.ModelProto:
    from onnx import TensorProto, helper, numpy_helper

    zero = numpy_helper.from_array(np.zeros((), ml_dtypes.float8_e4m3fn), "zero")
    floats = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in _SHAPES.items()]
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
        ],
        "fp8",
        floats[:2],
        floats[2:],
        [zero],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)


_SHAPES: dict[str, list[str]] = {"x": ["n"], "scale": [], "y": ["n"]}


def test_nan_is_refused() -> None:
    with pytest.raises(CalibrationError, match="NaN"):
        quantize_e4m3(np.float32([np.nan]), np.float32(1))
