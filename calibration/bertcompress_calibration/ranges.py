"""Range methods: which values a quantized tensor shall represent, decided from its statistics.

Each method is a pure function of `Statistics`, so that a table that was measured once can be
decided again by another method without the model and without the data.

`minmax` takes what was seen, so that nothing is clamped; one odd value widens the steps for all
others, and more samples only make it worse. `percentile` clips the tails, two-sided: of the share
``1 - p / 100`` that may fall outside, half at each end.

p is 99.999 by default. Most inputs of BERT's products come out of LayerNorm, where a few channels
are large for nearly *every* token and carry signal. One channel of 768 is 0.13 % of the values: if
it is the largest, p = 99.9 clips it for four tokens in ten, 99.99 for one in 26, and 99.999 for one
in 260, which leaves the channel alone and cuts single spikes. NVIDIA's FasterTransformer took
99.999, too, for BERT without retraining.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bertcompress.errors import CalibrationError, UsageError, did_you_mean
from bertcompress_calibration.statistics import Statistics

DEFAULT_PERCENTILE = 99.999

Method = Callable[[Statistics], tuple[float, float]]
"""Returns the smallest and the largest value that shall be represented."""


def minmax_range(seen: Statistics) -> tuple[float, float]:
    """Returns the smallest and the largest value seen."""
    return seen.minimum, seen.maximum


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
    low_bin = int(np.argmax(np.cumsum(seen.histogram) > cut))
    high_bin = seen.histogram.size - 1 - int(np.argmax(np.cumsum(seen.histogram[::-1]) > cut))
    low = (seen.first_bin + low_bin) * seen.bin_width
    high = (seen.first_bin + high_bin + 1) * seen.bin_width
    return max(low, seen.minimum), min(high, seen.maximum)


METHODS: Mapping[str, Method] = {
    "percentile": percentile_range,
    "minmax": minmax_range,
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
