"""SmoothQuant: moves the difficulty of quantizing an activation into the weight that it meets.

Each input channel j of a product is divided by ``s_j`` and the weight's row multiplied by it, which
changes nothing but what rounding costs::

    y = x W = (x / s) (diag(s) W)        s_j = max|x_j|^alpha / max|W_j|^(1 - alpha)

scaled to a geometric mean of 1. One scale must serve all channels of the activation, so that a few
large channels coarsen the others; the weight's own scale is one an output channel, which all of
its rows share. Alpha 0.5 splits the difficulty evenly, a larger one moves more of it.

**What alpha is best** is asked of each product for itself. Rounding to steps of ``d`` makes an
error of variance ``d^2 / 12``, independent of the value; with the activation's step `d_x`, the
weight's `d_k` in output channel k and the mean square ``e_j`` of each input channel::

    noise = sum_k ( d_x^2 / 12 * sum_j W_jk^2  +  d_k^2 / 12 * sum_j e_j )

both for the scaled operands. None (no smoothing) is one of the candidates, so that the expected
noise never grows. What clipping costs is not in it: ranges are found anew on the scaled graph.

Source: Xiao et al. 2022, SmoothQuant, arXiv:2211.10438, eq. 4; the noise of rounding: Widrow and
Kollar, "Quantization Noise", section 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bertcompress.numerics.affine import S8_MAX, U8_MAX

Floats = NDArray[np.float32]

ALPHAS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""What is tried besides leaving a product as it is."""
_RANGE = 1e2
"""Channels are divided by this at most, and multiplied by it at most."""
_SILENT = 1e-5
"""The least size of a channel that counts; SmoothQuant's own code clamps there too."""


def smoothing_scales(channel_absmax: Floats, weight: Floats, alpha: float) -> Floats:
    """Returns what each channel of an activation is divided by.

    Args:
        channel_absmax: The largest size of each channel, ``[in]``, 0 or more.
        weight: ``[in, out]``.
        alpha: 0..1.

    Returns:
        ``s``, float32 ``[in]``, within 1/100..100; all 1 where nothing is to be gained.
    """
    activation = np.log(np.maximum(channel_absmax.astype(np.float64), _SILENT))
    rows = np.log(np.maximum(np.abs(weight).max(axis=1).astype(np.float64), _SILENT))
    logarithm = alpha * activation - (1 - alpha) * rows
    scales = np.exp(logarithm - logarithm.mean())
    bounded: Floats = np.clip(scales, 1 / _RANGE, _RANGE).astype(np.float32)
    return bounded


def rounding_noise(
    low: float, high: float, channel_absmax: Floats, energy: Floats, weight: Floats
) -> float:
    """Returns the expected squared error of a product's output for one token, by rounding alone.

    Args:
        low: The smallest value that the activation's range holds.
        high: The largest.
        channel_absmax: The largest size of each channel, ``[in]``; where the range reaches further
            than any channel it is taken as narrow as they are.
        energy: The mean square of each channel, ``[in]``.
        weight: ``[in, out]``.
    """
    largest = float(channel_absmax.max(initial=0.0))
    step = (min(max(high, 0.0), largest) - max(min(low, 0.0), -largest)) / U8_MAX
    steps = np.abs(weight).max(axis=0).astype(np.float64) / S8_MAX
    of_activation = step**2 * float((weight.astype(np.float64) ** 2).sum())
    of_weight = float((steps**2).sum()) * float(energy.astype(np.float64).sum())
    return (of_activation + of_weight) / 12


def best_scales(
    low: float,
    high: float,
    channel_absmax: Floats,
    weight: Floats,
    mean_square: float,
    *,
    alphas: Sequence[float] = ALPHAS,
) -> tuple[float | None, Floats, float]:
    """Chooses how far a product is smoothed.

    The mean square of each channel is taken to grow with the square of its largest size.

    Args:
        low: The smallest value of the activation's range.
        high: The largest.
        channel_absmax: The largest size of each channel, ``[in]``.
        weight: ``[in, out]``.
        mean_square: Of all values of the activation.
        alphas: What to try; None, for no smoothing, always is.

    Returns:
        Alpha, or None where the product is best left alone; the scales, float32 ``[in]``; and the
        expected noise with them as a part of that without, 0..1.
    """
    squares = channel_absmax.astype(np.float64) ** 2
    total = float(squares.sum()) or 1.0
    energy = squares / total * mean_square * len(squares)
    ones = np.ones(len(squares), dtype=np.float32)
    before = rounding_noise(low, high, channel_absmax, energy.astype(np.float32), weight)
    best: tuple[float | None, Floats, float] = (None, ones, before)
    for alpha in alphas:
        scales = smoothing_scales(channel_absmax, weight, alpha)
        scaled = channel_absmax / scales
        # The range shrinks or grows with the largest channel; its shape is taken to stay.
        factor = float(scaled.max()) / (float(channel_absmax.max()) or 1.0)
        after = rounding_noise(
            low * factor,
            high * factor,
            scaled,
            (energy / scales.astype(np.float64) ** 2).astype(np.float32),
            weight * scales[:, None],
        )
        if after < best[2]:
            best = (alpha, scales, after)
    return best[0], best[1], best[2] / before if before else 1.0
