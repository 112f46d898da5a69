"""Entropy: the clipping at which 128 levels tell the most about the sizes seen.

For each number of bins i from 128 to all of the histogram of ``|x|``, P is the histogram up to bin
i with everything beyond counted into its last bin that is not empty, and Q is the histogram up to
bin i without what lies beyond, as 128 levels would show it: the bins of a level share its count
equally, empty bins stay empty. The i with the smallest ``KL(P || Q) = Σ P log(P / Q)`` is taken,
the widest of equals. What is clipped is in P and not in Q: that is what clipping costs; levels of
several bins blur Q: that is what a wide range costs.

The histogram has to be much finer than the levels: with 128 bins for 128 levels there is one
candidate, the whole range, which is how some calibrators come to call min-max entropy. Ours has 513
to 2 048 bins of ``|x|``. In the source what is clipped goes into bin i itself; where that is empty
the divergence is infinite, and a single spike would forbid all candidates between it and the rest.

The method was made for the light tails of convolutional nets, and it counts values without asking
how large they are: a few channels of LayerNorm's outputs that are large for every token are few
values, and are clipped.

Source: S. Migacz, 8-bit Inference with TensorRT, GTC 2017,
https://on-demand.gputechconf.com/gtc/2017/presentation/s7310-8-bit-inference-with-tensorrt.pdf
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bertcompress_calibration.statistics import BINS, Counts, Statistics

LEVELS = 128
_ROUNDING = 1e-12
"""Divergences closer than this are equal."""


def entropy_range(seen: Statistics) -> tuple[float, float]:
    """Returns ``-a`` to ``a`` with the least divergence, drawn in to the extremes."""
    sizes, width = histogram_of_sizes(seen)
    if sizes.size <= LEVELS:
        return seen.minimum, seen.maximum
    found = divergences(sizes)
    best = LEVELS + int(np.flatnonzero(found <= found.min() + _ROUNDING)[-1])
    return max(-best * width, seen.minimum), min(best * width, seen.maximum)


def histogram_of_sizes(seen: Statistics) -> tuple[Counts, float]:
    """Returns the histogram of ``|x|`` from 0 on, at most 2 048 bins, int64; and the bins' width.

    Bin -k - 1 of negative values and bin k hold the same sizes. Where all values are far from 0 the
    bins are joined until 2 048 reach from there.
    """
    numbers = seen.first_bin + np.arange(seen.histogram.size)
    numbers = np.where(numbers < 0, -numbers - 1, numbers)
    shift = 0
    while int(numbers.max()) >> shift >= BINS:
        shift += 1
    numbers >>= shift
    counts = np.zeros(int(numbers.max()) + 1, dtype=np.int64)
    np.add.at(counts, numbers, seen.histogram)
    return counts, seen.bin_width * 2**shift


def divergences(counts: Counts) -> NDArray[np.float64]:
    """Returns KL(P || Q) for each number of bins from 128 to all, float64 ``[bins - 127]``.

    Args:
        counts: int64 ``[bins]``, at least 128 bins, of which the last is not empty.
    """
    candidates = np.arange(LEVELS, counts.size + 1)  # [candidates]
    edges = candidates[:, None] * np.arange(LEVELS + 1) // LEVELS  # [candidates, levels + 1]
    below = np.concatenate([[0], np.cumsum(counts)]).astype(np.float64)  # [bins + 1]
    filled = np.concatenate([[0], np.cumsum(counts > 0)])
    total, inside = below[-1], below[candidates]
    beyond = total - inside
    level_counts = np.diff(below[edges], axis=1)  # [candidates, levels]
    level_bins = np.diff(filled[edges], axis=1)

    # Σ P log P: that of the bins, but for the last filled one, which takes what lies beyond.
    filled_bins = np.where(counts > 0, np.arange(counts.size), -1)
    last = np.maximum.accumulate(filled_bins)[candidates - 1]  # -1: none is filled
    own_last = counts[np.maximum(last, 0)].astype(np.float64)
    logs = np.concatenate([[0], np.cumsum(_x_log_x(counts))])
    own = logs[candidates] - _x_log_x(own_last) + _x_log_x(own_last + beyond)

    # Σ P log Q: all bins of a level have the same Q.
    with np.errstate(divide="ignore", invalid="ignore"):
        log_level = np.where(level_counts > 0, np.log(level_counts / level_bins), 0.0)
        level_of_last = ((np.maximum(last, 0) + 1) * LEVELS - 1) // candidates
        level_counts[np.arange(candidates.size), level_of_last] += beyond
        shown = (level_counts * log_level).sum(axis=1)
        found = (own - shown) / total - np.log(total) + np.log(inside)
    return np.where(last < 0, np.inf, found)


def _x_log_x(values: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values * np.log(np.maximum(values, 1)), dtype=np.float64)
