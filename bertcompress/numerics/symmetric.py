"""Symmetric quantization: INT8 and FP8 with a scale and no zero point, as TensorRT wants them.

The formula; 0.0 is always exactly 0::

    INT8    q = clamp(round(x / scale), -128, 127)             scale = max|x| / 127
    FP8     q = e4m3(clamp(x / scale, -448, 448))              scale = max|x| / 448
            x' = q * scale

**The scale lives in the graph's own float type.** A strongly typed engine takes the scale of a Q/DQ
pair in the type of its input, FP16 here, which keeps eleven bits. A scale that is rounded down
would clip the largest value, so it is rounded *up* to the next number of the type, and the integers
are made with the rounded scale: what is stored and what is computed are the same numbers.

**Activations: one scale a tensor**, from the calibrated range widened to be symmetric,
``max(|low|, |high|)``. After GELU, never below -0.17, half of INT8's steps lie idle; that is the
price of a zero point that hardware may leave out, and asymmetric U8 (`affine`) does not pay it.

**Weights: INT8 with one scale an output channel** (-127..127, as in `affine`); **FP8 with one for
the whole weight**: its error is relative to each value, not to the largest, so that scales of their
own would change little but the values below ``2 ** -6`` of a scale.

**E4M3** has four bits of exponent and three of mantissa: 448 is the largest number, ``2 ** -9``
the smallest; the relative error is at most ``2 ** -4`` down to ``2 ** -6``. It has no infinity, and
what is past 448 becomes NaN, so it is clamped before.

    >>> import numpy as np
    >>> scale = symmetric_scale(2.54, largest=INT8_LARGEST, half=np.float16)
    >>> float(scale), float(scale) >= 2.54 / 127
    (0.0200042724609375, True)
    >>> quantize_e4m3(np.float32([1.0, -0.3, 900.0]), np.float32(1.0)).astype(np.float32).tolist()
    [1.0, -0.3125, 448.0]

Source: https://onnx.ai/onnx/technical/float8.html (E4M3FN, saturating),
https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/work-with-quantized-types.html
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError

INT8_LARGEST = 127.0
E4M3_LARGEST = 448.0

HalfType = type[np.float16] | type[np.float32]
"""What scales are kept in: ``numpy.float16``, or float32 where the graph itself is float32."""


def symmetric_scale(
    amax: NDArray[np.float32] | float, *, largest: float, half: HalfType
) -> NDArray[np.float32]:
    """Returns the smallest scales of a type with which nothing is clipped.

    Args:
        amax: The largest absolute values to represent, any shape.
        largest: The largest number of the quantized type: `INT8_LARGEST` or `E4M3_LARGEST`.
        half: The type that the scales will be stored in.

    Returns:
        float32 of the same shape, each a number of the type `half`; 1 where all values are zero.

    Raises:
        CalibrationError: A value is not finite, or its scale is too large for the type.
    """
    wanted = np.asarray(amax, dtype=np.float64) / largest
    if not np.all(np.isfinite(wanted)) or np.any(wanted > float(np.finfo(half).max)):
        raise CalibrationError(
            f"values up to {np.max(amax)} have no scale in {half.__name__}; calibrate again with "
            "texts that the model answers with numbers"
        )
    nearest = wanted.astype(half)
    below = nearest.astype(np.float64) < wanted
    up = np.where(below, np.nextafter(nearest, half(np.inf)), nearest)
    return np.asarray(np.where(wanted > 0, up, half(1)), dtype=np.float32)


def quantize_e4m3(
    values: NDArray[np.float32], scale: NDArray[np.float32] | np.float32
) -> NDArray[np.generic]:
    """Returns the E4M3 numbers nearest to the values, clamped to ±448.

    Args:
        values: float32, any shape.
        scale: One scale for all.

    Returns:
        ``ml_dtypes.float8_e4m3fn``, shaped as the values.

    Raises:
        CalibrationError: The values hold NaN.
    """
    if np.isnan(values).any():
        raise CalibrationError(
            f"values of shape {list(values.shape)} hold NaN, which has no FP8 number; repair the "
            "checkpoint"
        )
    clamped = np.clip(values / np.float32(scale), -E4M3_LARGEST, E4M3_LARGEST)
    return np.asarray(clamped.astype(ml_dtypes.float8_e4m3fn))
