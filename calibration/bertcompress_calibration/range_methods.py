"""Range methods: which values a quantized tensor shall represent, decided from its statistics.

Each method is a pure function of `Statistics`, so that a table that was measured once can be
decided again by another method without the model and without the data.

`minmax` takes what was seen, so that nothing is clamped; one odd value widens the steps for all
others, and more samples only make it worse.

`mean` takes the mean over the samples of each sample's smallest and largest value (what NNCF calls
mean min-max): a spike in one of 300 texts counts for a 300th. The moving average that other tools
compute is the same with weights that depend on the order of the samples, which here are
ordered by length; it is not offered.

`percentile` clips the tails, two-sided: of the share ``1 - p / 100`` that may fall outside, half at
each end. p is 99.999 by default. Most inputs of BERT's products come out of LayerNorm, where a few
channels are large for nearly *every* token and carry signal. One channel of 768 is 0.13 % of the
values: if it is the largest, p = 99.9 clips it for four tokens in ten, 99.99 for one in 26, and
99.999 for one in 260, which leaves the channel alone and cuts single spikes. NVIDIA's
FasterTransformer took 99.999, too, for BERT without retraining.

`tokens` counts tokens instead of values: it clips the largest value of the few tokens (separators,
commas) whose largest value is far beyond that of the others, however wide the tensor is (Wei et al.
2022, arXiv:2209.13325, section 4.2; there the quantile is chosen by the loss at the output).

`entropy` and `mse` have files of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from bertcompress.errors import CalibrationError, UsageError, did_you_mean
from bertcompress_calibration.entropy import entropy_range
from bertcompress_calibration.squared_error import mse_range
from bertcompress_calibration.statistics import Counts, Statistics

DEFAULT_PERCENTILE = 99.999
DEFAULT_TOKEN_PERCENTILE = 99.9

Method = Callable[[Statistics], tuple[float, float]]
"""Returns the smallest and the largest value that shall be represented."""


def minmax_range(seen: Statistics) -> tuple[float, float]:
    """Returns the smallest and the largest value seen."""
    return seen.minimum, seen.maximum


def mean_range(seen: Statistics) -> tuple[float, float]:
    """Returns the means of the samples' smallest and of their largest values, in any order."""
    count = seen.sample_minima.size
    low, high = (math.fsum(ends.tolist()) for ends in (seen.sample_minima, seen.sample_maxima))
    return low / count, high / count


def percentile_range(
    seen: Statistics, percentile: float = DEFAULT_PERCENTILE
) -> tuple[float, float]:
    """Returns the range that at most ``(100 - percentile) / 2`` percent lie below, and above.

    Both ends are borders of bins, drawn in to the extremes: the outermost bins that may not be cut
    off are inside as a whole.

    Args:
        seen: The statistics.
        percentile: Above 0, up to 100; see the module's docstring.

    Raises:
        CalibrationError: The percentile can't be meant.
    """
    if not 0 < percentile <= 100:
        raise CalibrationError(
            f"percentile must be above 0 and up to 100, got {percentile}; type {DEFAULT_PERCENTILE}"
        )
    cut = int(seen.count * (100 - percentile) / 200)  # Values that may be lost at each end.
    return _cut_off(seen, seen.histogram, seen.histogram, cut)


def token_range(
    seen: Statistics, percentile: float = DEFAULT_TOKEN_PERCENTILE
) -> tuple[float, float]:
    """Returns the range that holds the extremes of all but ``100 - percentile`` percent of tokens.

    At most so many tokens have values below it, and at most so many above. The ends are borders of
    bins, as with `percentile_range`.

    Args:
        seen: The statistics.
        percentile: From 50 to 100.

    Raises:
        CalibrationError: The percentile can't be meant.
    """
    if not 50 <= percentile <= 100:
        raise CalibrationError(
            f"the percentile of tokens must be from 50 to 100, got {percentile}; "
            f"type {DEFAULT_TOKEN_PERCENTILE}"
        )
    cut = int(seen.tokens * (100 - percentile) / 100)
    return _cut_off(seen, seen.token_minima, seen.token_maxima, cut)


METHODS: Mapping[str, Method] = {
    "percentile": percentile_range,
    "minmax": minmax_range,
    "mean": mean_range,
    "entropy": entropy_range,
    "mse": mse_range,
    "tokens": token_range,
}
"""The methods by name, the default first."""


def method_named(name: str) -> Method:
    """Returns the method.

    Raises:
        UsageError: There is none of that name.
    """
    if name not in METHODS:
        raise UsageError(
            f"method must be one of {', '.join(METHODS)}, got {name!r}{did_you_mean(name, METHODS)}"
        )
    return METHODS[name]


def _cut_off(seen: Statistics, lower: Counts, upper: Counts, cut: int) -> tuple[float, float]:
    """Returns the widest borders beyond which no more than `cut` of each histogram lie."""
    low_bin = int(np.argmax(np.cumsum(lower) > cut))
    high_bin = upper.size - 1 - int(np.argmax(np.cumsum(upper[::-1]) > cut))
    low = (seen.first_bin + low_bin) * seen.bin_width
    high = (seen.first_bin + high_bin + 1) * seen.bin_width
    return max(low, seen.minimum), min(high, seen.maximum)
