"""Affine quantization: real numbers as 8-bit integers, a scale and a zero point.

The formula, with round to the nearest and ties to the even integer::

    q = clamp(round(x / scale) + zero_point)        x' = (q - zero_point) * scale

**Activations: asymmetric U8.** The 256 steps 0..255 are laid over the range from `low` to `high`::

    scale = (high - low) / 255        zero_point = round(-low / scale)

The range is always widened to contain 0, so that the zero point is itself one of the steps and 0.0
becomes exactly 0.0: zeros are what masks and ReLU-like functions write, and an error there would
be the same for every such value and not average out. The scale is rounded upwards to float32, so
that the 256 steps never fall short of the range. Values outside are clamped, which is what a
narrower range bought by percentiles costs; inside, the error is at most scale / 2. A range with no
width (all zeros, or narrower than float32's normal numbers) gets scale 1 and zero point 0.

**Weights: symmetric S8.** ``scale = max|w| / 127``, zero point 0, clamp to -127..127: -128 is left
out so that w and -w have the same size. One scale for each output channel costs nothing at run
time (it multiplies the finished sums) and keeps one large row from coarsening all others. A channel
of zeros gets scale 1.

**What the hardware demands.** On x64 the integer instruction (VPDPBUSD of VNNI, VPMADDUBSW before
it) multiplies *unsigned* by *signed* bytes. ONNX Runtime has kernels for exactly that: asymmetric
U8 activations with symmetric S8 weights. With S8 activations it leaves matrix products in float,
without a word. VPMADDUBSW adds two products in 16 bits and saturates at 32 767, so that machines
without VNNI lose accuracy on large weights.

**Not chosen.** Symmetric S8 activations: what TensorRT wants, but see above; and after GELU, whose
outputs are never below -0.17, half of the steps would lie idle. 7-bit weights ("reduce range"):
safe without VNNI, but twice as coarse for those who have it. A power of two as scale: shifts
instead of multiplications, which these kernels do not need, for up to twice the error. Round half
away from zero: not what ONNX and the processor's conversion instruction do.

A range of -1..3 needs a step of 4 / 255, and 0 lies on step 64:

    >>> import numpy as np
    >>> scale, zero_point = choose_asymmetric_u8(-1.0, 3.0)
    >>> round(float(scale), 6), int(zero_point)
    (0.015686, 64)
    >>> q = quantize_u8(np.float32([-1, 0, 1, 3, 9]), scale, zero_point)
    >>> q.tolist()
    [0, 64, 128, 255, 255]
    >>> [round(float(x), 3) for x in dequantize(q, scale, zero_point)]
    [-1.004, 0.0, 1.004, 2.996, 2.996]

The largest weight of each row becomes 127, and a row of zeros stays one:

    >>> from bertcompress.numerics.granularity import PerAxis
    >>> weight = np.float32([[2.54, -1.0], [0.0, 0.0]])
    >>> scale = choose_symmetric_s8(weight, PerAxis(0))
    >>> [round(float(one), 6) for one in scale]
    [0.02, 1.0]
    >>> quantize_s8(weight, scale, PerAxis(0)).tolist()
    [[127, -50], [0, 0]]

Source: https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html,
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError
from bertcompress.numerics.granularity import (
    PER_TENSOR,
    Granularity,
    broadcastable,
    shared_axes,
)

U8_MAX = 255
S8_MAX = 127
"""The largest size of a weight's integer; -128 is not used."""
S8_REDUCED = 63
"""The same in 7 bits, for CPUs that add products in 16 bits
(`bertcompress.machine.cpu.saturates`)."""

_FLOAT32 = np.finfo(np.float32)


def choose_asymmetric_u8(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Returns the scale and zero point that lay the steps 0..255 over a range widened to hold 0.

    Args:
        low: The smallest value that has to be represented.
        high: The largest.

    Raises:
        CalibrationError: The range is not one of float32 numbers, or its ends are swapped.
    """
    largest = float(_FLOAT32.max)
    if not -largest <= low <= high <= largest:
        raise CalibrationError(
            f"a range must go from a smaller to a larger finite float32 number, got {low} to "
            f"{high}; calibrate again with texts that the model answers with numbers"
        )
    low, high = min(low, 0.0), max(high, 0.0)
    scale = _rounded_up((high - low) / U8_MAX)
    if scale < _FLOAT32.tiny:
        return np.float32(1.0), np.uint8(0)
    return scale, np.uint8(np.clip(np.rint(-low / float(scale)), 0, U8_MAX))


def choose_symmetric_s8(
    weight: NDArray[np.float32], granularity: Granularity, *, largest: int = S8_MAX
) -> NDArray[np.float32]:
    """Returns the scales that map the largest absolute weight to 127.

    Args:
        weight: The weight, float32, any shape.
        granularity: Which values share a scale.
        largest: The integer of the largest weight: 63 leaves a bit free (`S8_REDUCED`).

    Returns:
        The scales, float32, shaped as the granularity says; 1 where all weights are zero.

    Raises:
        CalibrationError: The weight holds NaN or infinity.
        UsageError: The weight has no such axis.
    """
    amax = np.max(np.abs(weight), axis=shared_axes(weight.ndim, granularity), initial=0.0)
    if not np.all(np.isfinite(amax)):
        raise CalibrationError(
            f"a weight of shape {list(weight.shape)} holds NaN or infinity, which have no integer; "
            "repair the checkpoint"
        )
    scale = np.asarray(amax, dtype=np.float32) / np.float32(largest)
    return np.where(scale < _FLOAT32.tiny, np.float32(1.0), scale).astype(np.float32)


def quantize_u8(
    values: NDArray[np.float32], scale: np.float32, zero_point: np.uint8
) -> NDArray[np.uint8]:
    """Returns the steps nearest to the values, uint8, shaped as they are; clamped to 0..255.

    Raises:
        CalibrationError: The values hold NaN.
    """
    steps = _steps(values, broadcastable(scale, values.shape, PER_TENSOR))
    clamped = np.clip(steps + np.float32(zero_point), 0, U8_MAX)
    return np.asarray(clamped, dtype=np.uint8)


def quantize_s8(
    values: NDArray[np.float32],
    scale: NDArray[np.float32] | np.float32,
    granularity: Granularity,
) -> NDArray[np.int8]:
    """Returns the integers nearest to the values, int8, shaped as they are; clamped to -127..127.

    Raises:
        CalibrationError: The values hold NaN.
        UsageError: The scales do not fit the values and the granularity.
    """
    steps = _steps(values, broadcastable(scale, values.shape, granularity))
    return np.clip(steps, -S8_MAX, S8_MAX).astype(np.int8)


def dequantize(
    quantized: NDArray[np.uint8] | NDArray[np.int8],
    scale: NDArray[np.float32] | np.float32,
    zero_point: np.uint8 | int = 0,
    granularity: Granularity = PER_TENSOR,
) -> NDArray[np.float32]:
    """Returns the numbers that the integers stand for, float32, shaped as they are.

    Args:
        quantized: The integers.
        scale: One scale, or one for each index of the granularity's axis.
        zero_point: The integer that stands for 0.0; 0 for weights.
        granularity: Which values share a scale.

    Raises:
        UsageError: The scales do not fit the values and the granularity.
    """
    offset = quantized.astype(np.int32) - np.int32(zero_point)
    numbers = offset.astype(np.float32) * broadcastable(scale, quantized.shape, granularity)
    return np.asarray(numbers, dtype=np.float32)


def _rounded_up(number: float) -> np.float32:
    """Returns the smallest float32 number that is not below the number."""
    rounded = np.float32(number)
    if float(rounded) < number:
        return np.float32(np.nextafter(rounded, np.float32(np.inf)))
    return rounded


def _steps(values: NDArray[np.float32], scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divides and rounds in float32, as ONNX Runtime does."""
    if np.isnan(values).any():
        raise CalibrationError(
            f"values of shape {list(values.shape)} hold NaN, which has no integer; "
            "find out where the model makes them"
        )
    with np.errstate(over="ignore"):  # What overflows is infinite, and clamped like any other.
        return np.asarray(np.rint(values / scale), dtype=np.float32)
