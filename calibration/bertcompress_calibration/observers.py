"""Observers: what is kept of a tensor's values, and how a range is decided from it.

Values stream past and are never stored. What is kept is `Statistics`: the extremes, the number of
values and, for methods that need it, a histogram of at most 2 048 bins over positive and negative
values.

**The histogram.** Bin k covers ``[k * width, (k + 1) * width)``. The width is a power of two: the
smallest one for which at most 2 048 bins reach from the minimum to the maximum, so that more than
1 024 do. When a value falls outside, the width doubles as often as needed and each two neighbours
become one bin. As the bins begin at multiples of the width, no bin is ever split: the counts stay
exact integers, and the result depends on the values alone, not on their order nor on how they
were divided into batches. Two histograms can be merged, with the same result as one pass.

    >>> import numpy as np
    >>> whole = statistics_of(np.float32([0.5, 1.5, 2.5, 6.5]), bins=4)
    >>> whole.bin_width, whole.histogram.tolist()
    (2.0, [2, 1, 0, 1])
    >>> half = statistics_of(np.float32([0.5, 1.5]), bins=4)
    >>> half.bin_width, half.histogram.tolist()
    (0.5, [1, 0, 1])

**The methods.** `minmax` takes what was seen, so that nothing is clamped; one odd value widens the
steps for all others, and more samples only make it worse. `percentile` clips the tails, two-sided:
of the share ``1 - p / 100`` that may fall outside, half at each end.

p is 99.999 by default. Most inputs of BERT's products come out of LayerNorm, where a few channels
are large for nearly *every* token and carry signal. One channel of 768 is 0.13 % of the values: if
it is the largest, p = 99.9 clips it for four tokens in ten, 99.99 for one in 26, and 99.999 for one
in 260, which leaves the channel alone and cuts single spikes. NVIDIA's FasterTransformer took
99.999, too, for BERT without retraining.

Not chosen: entropy (Kullback-Leibler), which was made for the tails of convolutional nets and
clips the same channels; a moving average, which depends on the order of the samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError

BINS = 2048
DEFAULT_PERCENTILE = 99.999
_CHUNK = 1 << 20
"""Values that are binned at a time; bounds the memory of one step."""
_MANTISSA_BITS = 24
_SMALLEST_EXPONENT = -149
"""2**-149 is float32's smallest number."""

Floats = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Statistics:
    """What is kept of the values seen.

    Attributes:
        minimum: The smallest.
        maximum: The largest.
        count: How many.
        histogram: int64 ``[bins]``, from the bin that holds the minimum to the one that holds the
            maximum; size 0 if none is kept.
        bin_width: A power of two; 0 if no histogram is kept.
    """

    minimum: float
    maximum: float
    count: int
    histogram: NDArray[np.int64]
    bin_width: float = 0.0

    @property
    def first_bin(self) -> int:
        """The number of the first bin, in bin widths from zero."""
        return math.floor(self.minimum / self.bin_width)


class Observer(Protocol):
    """Sees a tensor batch by batch."""

    def observe(self, values: Floats) -> None:
        """Takes note of the values, of any shape; keeps none of them."""
        ...

    @property
    def statistics(self) -> Statistics:
        """What was seen so far."""
        ...


class _StreamingObserver:
    """Adds up the statistics of the parts of a stream."""

    def __init__(self, name: str, *, bins: int) -> None:
        self._name = name
        self._bins = bins
        self._statistics: Statistics | None = None

    def observe(self, values: Floats) -> None:
        """Takes note of the values, of any shape; keeps none of them.

        Raises:
            CalibrationError: They hold NaN or infinity.
        """
        flat = values.reshape(-1)
        for start in range(0, flat.size, _CHUNK):
            part = statistics_of(flat[start : start + _CHUNK], name=self._name, bins=self._bins)
            self.merge(part)

    def merge(self, other: Statistics) -> None:
        """Takes note of what another observer has seen."""
        seen = self._statistics
        self._statistics = other if seen is None else merged(seen, other, bins=self._bins)

    @property
    def statistics(self) -> Statistics:
        """What was seen so far.

        Raises:
            CalibrationError: Nothing was.
        """
        if self._statistics is None:
            raise CalibrationError(
                f"no value of {self._name} was seen; calibrate with at least one example that has "
                "tokens"
            )
        return self._statistics


class MinMaxObserver(_StreamingObserver):
    """Keeps the extremes and the count.

    Args:
        name: The tensor, for error messages.
    """

    def __init__(self, name: str = "the tensor") -> None:
        super().__init__(name, bins=0)


class HistogramObserver(_StreamingObserver):
    """Keeps a histogram with a sign, too.

    Args:
        name: The tensor, for error messages.
        bins: The largest number of bins, at least 2.
    """

    def __init__(self, name: str = "the tensor", *, bins: int = BINS) -> None:
        super().__init__(name, bins=bins)


def statistics_of(values: Floats, *, name: str = "the tensor", bins: int = BINS) -> Statistics:
    """Returns the statistics of values that are in memory.

    Args:
        values: At least one, of any shape.
        name: The tensor, for error messages.
        bins: The largest number of bins, at least 2; 0 for no histogram.

    Raises:
        CalibrationError: They hold NaN or infinity.
    """
    minimum, maximum = float(values.min()), float(values.max())
    if not (math.isfinite(minimum) and math.isfinite(maximum)):
        raise CalibrationError(
            f"{name} takes NaN or infinity as values, which no range can hold; "
            "repair the model or leave out the texts that cause them"
        )
    if not bins:
        return Statistics(minimum, maximum, values.size, np.zeros(0, dtype=np.int64))
    width = _bin_width(minimum, maximum, bins)
    first = math.floor(minimum / width)
    numbers = np.floor(values.reshape(-1).astype(np.float64) / width).astype(np.int64)
    counts = np.bincount(numbers - first).astype(np.int64)
    return Statistics(minimum, maximum, values.size, counts, width)


def merged(one: Statistics, other: Statistics, *, bins: int = BINS) -> Statistics:
    """Returns the statistics of both streams together, exactly as if they had been one."""
    minimum, maximum = min(one.minimum, other.minimum), max(one.maximum, other.maximum)
    count = one.count + other.count
    if not bins:
        return Statistics(minimum, maximum, count, np.zeros(0, dtype=np.int64))
    width = _bin_width(minimum, maximum, bins)
    first = math.floor(minimum / width)
    counts = np.zeros(math.floor(maximum / width) - first + 1, dtype=np.int64)
    for part in (one, other):
        shift = _exponent(width) - _exponent(part.bin_width)
        numbers = (part.first_bin + np.arange(part.histogram.size)) >> shift  # Rounds downwards.
        np.add.at(counts, numbers - first, part.histogram)
    return Statistics(minimum, maximum, count, counts, width)


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
        seen: Statistics with a histogram.
        percentile: Above 0, up to 100; see the module's docstring.

    Raises:
        CalibrationError: The percentile can't be meant, or there is no histogram.
    """
    if not 0 < percentile <= 100:
        raise CalibrationError(
            f"percentile must be above 0 and up to 100, got {percentile}; type {DEFAULT_PERCENTILE}"
        )
    if not seen.histogram.size:
        raise CalibrationError("percentiles need a histogram; use HistogramObserver")
    cut = int(seen.count * (100 - percentile) / 200)  # Values that may be lost at each end.
    low_bin = int(np.argmax(np.cumsum(seen.histogram) > cut))
    high_bin = seen.histogram.size - 1 - int(np.argmax(np.cumsum(seen.histogram[::-1]) > cut))
    low = (seen.first_bin + low_bin) * seen.bin_width
    high = (seen.first_bin + high_bin + 1) * seen.bin_width
    return max(low, seen.minimum), min(high, seen.maximum)


@dataclass(frozen=True)
class Method:
    """A way to a range: what is observed and how it is decided."""

    observer: Callable[[str], Observer]
    decide: Callable[[Statistics], tuple[float, float]]


METHODS: Mapping[str, Method] = {
    "percentile": Method(HistogramObserver, percentile_range),
    "minmax": Method(MinMaxObserver, minmax_range),
}
"""The methods by name, the default first."""


def _bin_width(minimum: float, maximum: float, bins: int) -> float:
    """Returns the smallest power of two of which `bins` bins reach from minimum to maximum.

    Never finer than float32 can tell the larger of the two from its neighbours. The width only
    grows when the range does, which is why bins are only ever joined.
    """
    size = max(abs(minimum), abs(maximum))
    exponent = max(math.frexp(size)[1] - _MANTISSA_BITS, _SMALLEST_EXPONENT)
    if size == 0:
        exponent = _SMALLEST_EXPONENT
    width = math.ldexp(1.0, exponent)
    while math.floor(maximum / width) - math.floor(minimum / width) >= bins:
        width *= 2
    return width


def _exponent(power_of_two: float) -> int:
    return math.frexp(power_of_two)[1]
