"""Least squared error: the range at which quantizing and clipping together change the values least.

Every bin of the histogram is taken as as many values at its middle. For a range from `low` to
`high`, the asymmetric U8 grid of `bertcompress.numerics.affine` is laid over it, and the error is
``Σ count (x - Q(x))²``: a narrow range clips the tails, a wide one makes the steps coarse.

Both ends are searched together, because the step depends on both: each end as a fraction of the
extreme seen on its side of 0, first all pairs of sixteenths, then three times around the best pair
with a quarter of the step. An end that does not lie beyond 0 stays: the grid always reaches 0.
Among equal errors the widest range wins.

Source: Choukroun et al. 2019, arXiv:1902.06822, section 3 (the error as the criterion)
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from bertcompress.numerics.affine import choose_asymmetric_u8, dequantize, quantize_u8
from bertcompress_calibration.statistics import Counts, Statistics

COARSE = 16
_REFINEMENTS = 3
_FINER = 4


def mse_range(seen: Statistics) -> tuple[float, float]:
    """Returns the range with the least squared error, searched from coarse to fine."""
    values, counts = middles(seen)
    step = 1 / COARSE
    lows = highs = [1 - at * step for at in range(COARSE)]
    best, least = (1.0, 1.0), np.inf
    for _ in range(_REFINEMENTS + 1):
        low_ends = lows if seen.minimum < 0 else [1.0]
        high_ends = highs if seen.maximum > 0 else [1.0]
        for pair in itertools.product(low_ends, high_ends):
            error = squared_error(values, counts, *_ends(seen, pair))
            if error < least:
                best, least = pair, error
        step /= _FINER
        lows, highs = _around(best[0], step), _around(best[1], step)
    return _ends(seen, best)


def squared_error(values: NDArray[np.float32], counts: Counts, low: float, high: float) -> float:
    """Returns the sum of squared differences between values and their U8 steps.

    Args:
        values: float32 ``[bins]``.
        counts: int64 ``[bins]``: how often each value occurs.
        low: The smallest value that the grid represents.
        high: The largest.
    """
    scale, zero_point = choose_asymmetric_u8(low, high)
    shown = dequantize(quantize_u8(values, scale, zero_point), scale, zero_point)
    return float(counts @ np.square(values.astype(np.float64) - shown))


def middles(seen: Statistics) -> tuple[NDArray[np.float32], Counts]:
    """Returns the middle of each bin that is not empty, float32, and its count, int64."""
    numbers = np.flatnonzero(seen.histogram)
    centers = (seen.first_bin + numbers + 0.5) * seen.bin_width
    drawn_in = np.clip(centers, seen.minimum, seen.maximum)
    return drawn_in.astype(np.float32), seen.histogram[numbers]


def _ends(seen: Statistics, fractions: tuple[float, float]) -> tuple[float, float]:
    """Returns those fractions of the extremes, where all have one sign no further than the other.

    Args:
        seen: The statistics.
        fractions: Of the minimum and of the maximum.
    """
    low, high = fractions[0] * seen.minimum, fractions[1] * seen.maximum
    return min(low, seen.maximum), max(high, seen.minimum)


def _around(fraction: float, step: float) -> list[float]:
    """Returns fractions up to four steps to each side, the largest first, above 0 and up to 1."""
    near = [fraction + at * step for at in range(_FINER, -_FINER - 1, -1)]
    return [one for one in near if 0 < one <= 1]
