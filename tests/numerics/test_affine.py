"""Scales, zero points, rounding and clamping."""

from __future__ import annotations

import doctest
import math

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError, UsageError
from bertcompress.numerics import affine
from bertcompress.numerics.affine import (
    choose_asymmetric_u8,
    choose_symmetric_s8,
    dequantize,
    quantize_s8,
    quantize_u8,
)
from bertcompress.numerics.granularity import PER_TENSOR, Granularity, PerAxis, broadcastable

NUMBERS = st.floats(-(2.0**60), 2.0**60, width=32)
ANY_NUMBER = st.floats(width=32, allow_nan=False, allow_infinity=False)
VECTORS = arrays(np.float32, st.integers(1, 40), elements=NUMBERS)
MATRICES = arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=NUMBERS)
SLACK = 1 + 1e-4
"""Room for float32's own rounding; half a step is 2**-9 of the range, float32 keeps 2**-24."""


@pytest.fixture(scope="module")
def quantize_linear() -> onnxruntime.InferenceSession:
    graph = onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["": 21]>
        agraph (float[n] x, float scale, uint8 zero_point) => (uint8[n] y) {
            y = QuantizeLinear(x, scale, zero_point)
        }""")
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def test_example_in_the_docstring() -> None:
    outcome = doctest.testmod(affine)

    assert (outcome.failed, outcome.attempted > 0) == (0, True)


# --- asymmetric U8 --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (-1.0, 3.0, 4 / 255, 64),  # 63.75
        (-127.5, 127.5, 1.0, 128),  # 127.5, a tie: to the even step
        (-126.5, 128.5, 1.0, 126),  # 126.5, a tie: to the even step
        (0.0, 25.5, 0.1, 0),
        (-25.5, 0.0, 0.1, 255),
        (2.0, 5.1, 0.02, 0),  # widened down to 0
        (-5.1, -2.0, 0.02, 255),  # widened up to 0
        (0.0, 0.0, 1.0, 0),
    ],
)
def test_scale_and_zero_point_by_hand(
    low: float, high: float, scale: float, zero_point: int
) -> None:
    found, point = choose_asymmetric_u8(low, high)

    assert float(found) == pytest.approx(scale, rel=1e-6)
    assert int(point) == zero_point
    assert found.dtype == np.float32
    assert point.dtype == np.uint8


def test_rounds_half_to_even_and_clamps() -> None:
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1e9, -1e9, np.inf], dtype=np.float32)

    quantized = quantize_u8(values, np.float32(1), np.uint8(10))

    assert quantized.tolist() == [10, 12, 12, 10, 8, 255, 0, 255]
    assert quantized.dtype == np.uint8


def test_a_quotient_too_large_for_float32_is_clamped() -> None:
    values = np.array([3e38, -3e38], dtype=np.float32)

    assert quantize_u8(values, np.float32(1e-37), np.uint8(10)).tolist() == [255, 0]


@given(VECTORS)
def test_error_within_the_range_is_at_most_half_a_step(values: NDArray[np.float32]) -> None:
    scale, zero_point = choose_asymmetric_u8(float(values.min()), float(values.max()))

    back = dequantize(quantize_u8(values, scale, zero_point), scale, zero_point)

    error = np.abs(back.astype(np.float64) - values)
    assert error.max() <= float(scale) / 2 * SLACK


@given(ANY_NUMBER, ANY_NUMBER)
def test_zero_stays_exactly_zero(one: float, other: float) -> None:
    scale, zero_point = choose_asymmetric_u8(min(one, other), max(one, other))
    zeros = np.zeros(1, dtype=np.float32)

    quantized = quantize_u8(zeros, scale, zero_point)

    assert quantized.tolist() == [int(zero_point)]
    assert dequantize(quantized, scale, zero_point).tolist() == [0.0]


@given(ANY_NUMBER, ANY_NUMBER)
def test_the_steps_span_the_range(one: float, other: float) -> None:
    low, high = min(one, other, 0.0), max(one, other, 0.0)

    scale, _ = choose_asymmetric_u8(low, high)

    assert math.isfinite(scale)
    assert scale > 0
    assert float(scale) * 255 >= high - low


@given(st.floats(2.0**-60, 2.0**60, width=32), st.integers(0, 255))
def test_every_step_survives_the_round_trip(scale: float, zero_point: int) -> None:
    steps = np.arange(256, dtype=np.uint8)
    size, point = np.float32(scale), np.uint8(zero_point)

    again = quantize_u8(dequantize(steps, size, point), size, point)

    assert np.array_equal(again, steps)


@given(VECTORS, NUMBERS, NUMBERS)
def test_larger_values_never_get_smaller_steps(
    values: NDArray[np.float32], one: float, other: float
) -> None:
    scale, zero_point = choose_asymmetric_u8(min(one, other), max(one, other))

    steps = quantize_u8(np.sort(values), scale, zero_point).astype(int)

    assert np.all(np.diff(steps) >= 0)


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, -1.0), (math.nan, 1.0), (0.0, math.inf), (-1e39, 0.0)]
)
def test_ranges_that_are_none(low: float, high: float) -> None:
    with pytest.raises(CalibrationError, match="a range must go from"):
        choose_asymmetric_u8(low, high)


def test_a_range_below_normal_numbers_counts_as_zero() -> None:
    scale, zero_point = choose_asymmetric_u8(-1e-44, 1e-44)

    assert (float(scale), int(zero_point)) == (1.0, 0)


@given(values=VECTORS)
def test_onnx_runtime_gives_the_same_bytes(
    quantize_linear: onnxruntime.InferenceSession, values: NDArray[np.float32]
) -> None:
    scale, zero_point = choose_asymmetric_u8(
        float(values.min()) / 2, float(values.max()) / 2 + 2.0**-30
    )

    feed = {"x": values, "scale": np.asarray(scale), "zero_point": np.asarray(zero_point)}
    theirs = quantize_linear.run(None, feed)[0]

    assert np.array_equal(quantize_u8(values, scale, zero_point), theirs)


# --- symmetric S8 ---------------------------------------------------------------------------------


def test_one_scale_an_output_channel_by_hand() -> None:
    weight = np.array([[12.7, 0.0, 1.0], [-3.0, 0.0, -2.54]], dtype=np.float32)

    scale = choose_symmetric_s8(weight, PerAxis(1))
    quantized = quantize_s8(weight, scale, PerAxis(1))

    assert scale.tolist() == pytest.approx([0.1, 1.0, 0.02])
    assert scale.dtype == np.float32
    assert quantized.tolist() == [[127, 0, 50], [-30, 0, -127]]
    assert quantized.dtype == np.int8


def test_one_scale_for_all_by_hand() -> None:
    weight = np.array([[1.27, 0.015], [-0.025, -1.0]], dtype=np.float32)

    scale = choose_symmetric_s8(weight, PER_TENSOR)

    assert scale.shape == ()
    assert quantize_s8(weight, scale, PER_TENSOR).tolist() == [[127, 2], [-2, -100]]


def test_never_the_odd_integer() -> None:
    values = np.array([-1e9, -np.inf, -128.0, 1e9], dtype=np.float32)

    assert quantize_s8(values, np.float32(1), PER_TENSOR).tolist() == [-127, -127, -127, 127]


@given(MATRICES, st.sampled_from([PER_TENSOR, PerAxis(0), PerAxis(1)]))
def test_error_of_a_weight_is_at_most_half_a_step(
    weight: NDArray[np.float32], granularity: Granularity
) -> None:
    scale = choose_symmetric_s8(weight, granularity)

    back = dequantize(quantize_s8(weight, scale, granularity), scale, granularity=granularity)

    step = broadcastable(scale, weight.shape, granularity).astype(np.float64)
    assert np.all(np.abs(back.astype(np.float64) - weight) <= step / 2 * SLACK)
    assert np.all(back[weight == 0] == 0)


@given(MATRICES)
def test_the_opposite_weight_has_the_opposite_integer(weight: NDArray[np.float32]) -> None:
    scale = choose_symmetric_s8(weight, PerAxis(1))

    one, other = (quantize_s8(w, scale, PerAxis(1)).astype(int) for w in (weight, -weight))

    assert np.array_equal(one, -other)


@given(MATRICES)
def test_the_largest_weight_of_a_channel_gets_127(weight: NDArray[np.float32]) -> None:
    amax = np.abs(weight).max(axis=0)
    assume(bool(np.all((amax == 0) | (amax > 2.0**-110))))

    quantized = quantize_s8(weight, choose_symmetric_s8(weight, PerAxis(1)), PerAxis(1))

    assert np.array_equal(np.abs(quantized.astype(int)).max(axis=0), np.where(amax > 0, 127, 0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers(bad: float) -> None:
    with pytest.raises(CalibrationError, match=r"weight of shape \[1, 2\] holds NaN or infinity"):
        choose_symmetric_s8(np.array([[1.0, bad]], dtype=np.float32), PerAxis(1))


def test_nan_has_no_integer() -> None:
    values = np.array([np.nan], dtype=np.float32)

    with pytest.raises(CalibrationError, match="hold NaN"):
        quantize_u8(values, np.float32(1), np.uint8(0))


def test_scales_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="scale must have shape"):
        dequantize(np.zeros((2, 3), dtype=np.int8), np.ones(2, dtype=np.float32), 0, PerAxis(1))
