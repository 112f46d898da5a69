"""Statistics: what is kept of a tensor's values while they stream past.

Values are never stored. One pass over them gives `Statistics`, from which every method in
`bertcompress_calibration.range_methods` finds its range, and which other passes read: the extremes
and the number of values; a histogram of at most 2 048 bins over positive and negative values; of
each token's vector the smallest and the largest value, counted into the same bins; the extremes of
each sample; and of each channel the largest size and the mean. Their size does not grow with the
data, but for eight bytes a sample.

**The histogram.** Bin k covers ``[k * width, (k + 1) * width)``. The width is a power of two: the
smallest one for which at most 2 048 bins reach from the minimum to the maximum, so that more than
1 024 do. When a value falls outside, the width doubles as often as needed and each two neighbours
become one bin. As the bins begin at multiples of the width, no bin is ever split: the counts stay
exact integers, and the result depends on the values alone, not on their order nor on how they
were divided into batches. Two histograms can be merged, with the same result as one pass.

    >>> import numpy as np
    >>> whole = statistics_of(np.float32([[0.5], [1.5], [2.5], [6.5]]), bins=4)
    >>> whole.bin_width, whole.histogram.tolist()
    (2.0, [2, 1, 0, 1])
    >>> half = statistics_of(np.float32([[0.5], [1.5]]), bins=4)
    >>> half.bin_width, half.histogram.tolist()
    (0.5, [1, 0, 1])

**What merging keeps.** Counts and extremes are exact in any order. The samples' extremes are in the
order of the parts. A channel's mean is summed in float64; the order of the parts moves it by no
more than that rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError

BINS = 2048
_CHUNK = 1 << 17
"""Values that are binned at a time; bounds the memory of one step, and stays in the cache."""
_MANTISSA_BITS = 24
_SMALLEST_EXPONENT = -149
"""2**-149 is float32's smallest number."""
_FINEST_FOR_FLOAT32 = 2.0**-126
"""Down to here a bin width's reciprocal is a float32 number."""

Floats = NDArray[np.float32]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Statistics:
    """What is kept of the values ``[tokens, channels]`` seen.

    Attributes:
        minimum: The smallest.
        maximum: The largest.
        count: How many.
        histogram: int64 ``[bins]``, from the bin that holds the minimum to the one that holds the
            maximum.
        bin_width: A power of two.
        token_minima: int64 ``[bins]``, in the same bins: each token's smallest value.
        token_maxima: int64 ``[bins]``: each token's largest value.
        sample_minima: float32 ``[samples]``: each sample's smallest value, in their order.
        sample_maxima: float32 ``[samples]``: each sample's largest value.
        channel_absmax: float32 ``[channels]``: each channel's largest size.
        channel_mean: float64 ``[channels]``: each channel's mean.
    """

    minimum: float
    maximum: float
    count: int
    histogram: Counts
    bin_width: float
    token_minima: Counts
    token_maxima: Counts
    sample_minima: Floats
    sample_maxima: Floats
    channel_absmax: Floats
    channel_mean: NDArray[np.float64]

    @property
    def first_bin(self) -> int:
        """The number of the first bin, in bin widths from zero."""
        return math.floor(self.minimum / self.bin_width)

    @property
    def tokens(self) -> int:
        """How many tokens were seen."""
        return self.count // self.channel_absmax.size


class Observer:
    """Adds up the statistics of the parts of a stream.

    Args:
        name: The tensor, for error messages.
        bins: The largest number of bins, at least 2.
    """

    def __init__(self, name: str = "the tensor", *, bins: int = BINS) -> None:
        self._name = name
        self._bins = bins
        self._statistics: Statistics | None = None

    def observe(self, values: Floats, sample_lengths: Counts | None = None) -> None:
        """Takes note of the values; keeps none of them.

        Args:
            values: float32 ``[tokens, channels]``; may be empty.
            sample_lengths: As for `statistics_of`.

        Raises:
            CalibrationError: They hold NaN or infinity.
        """
        if values.size:
            self.merge(statistics_of(values, sample_lengths, name=self._name, bins=self._bins))

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


def statistics_of(
    values: Floats,
    sample_lengths: Counts | None = None,
    *,
    name: str = "the tensor",
    bins: int = BINS,
) -> Statistics:
    """Returns the statistics of values that are in memory.

    Args:
        values: float32 ``[tokens, channels]``, at least one of each.
        sample_lengths: int64 ``[samples]``: how many of the tokens, in order, are each sample's;
            at least one each. None takes all as one sample.
        name: The tensor, for error messages.
        bins: The largest number of bins, at least 2.

    Raises:
        CalibrationError: They hold NaN or infinity.
    """
    lowest, highest = values.min(axis=1), values.max(axis=1)  # [tokens]
    minimum, maximum = float(lowest.min()), float(highest.max())
    if not (math.isfinite(minimum) and math.isfinite(maximum)):
        raise CalibrationError(
            f"{name} takes NaN or infinity as values, which no range can hold; "
            "repair the model or leave out the texts that cause them"
        )
    width = _bin_width(minimum, maximum, bins)
    first = math.floor(minimum / width)
    size = math.floor(maximum / width) - first + 1
    lengths = np.asarray([len(values)]) if sample_lengths is None else sample_lengths
    starts = np.cumsum(lengths) - lengths
    return Statistics(
        minimum=minimum,
        maximum=maximum,
        count=values.size,
        histogram=_counts(values, width, first, size),
        bin_width=width,
        token_minima=_counts(lowest, width, first, size),
        token_maxima=_counts(highest, width, first, size),
        sample_minima=np.minimum.reduceat(lowest, starts),
        sample_maxima=np.maximum.reduceat(highest, starts),
        channel_absmax=np.maximum(values.max(axis=0), -values.min(axis=0)),
        channel_mean=values.mean(axis=0, dtype=np.float64),
    )


def merged(one: Statistics, other: Statistics, *, bins: int = BINS) -> Statistics:
    """Returns the statistics of both streams together, as if they had been one.

    Raises:
        CalibrationError: They are of tensors of another width.
    """
    widths = (one.channel_absmax.size, other.channel_absmax.size)
    if widths[0] != widths[1]:
        raise CalibrationError(
            f"statistics of {widths[0]} and of {widths[1]} channels can't be merged; merge those "
            "of the same tensor"
        )
    minimum, maximum = min(one.minimum, other.minimum), max(one.maximum, other.maximum)
    width = _bin_width(minimum, maximum, bins)
    first = math.floor(minimum / width)
    size = math.floor(maximum / width) - first + 1

    def both(name: str) -> Counts:
        counts = np.zeros(size, dtype=np.int64)
        for part in (one, other):
            shift = _exponent(width) - _exponent(part.bin_width)
            own: Counts = getattr(part, name)
            numbers = (part.first_bin + np.arange(own.size)) >> shift  # Rounds downwards.
            np.add.at(counts, numbers - first, own)
        return counts

    count = one.count + other.count
    return Statistics(
        minimum=minimum,
        maximum=maximum,
        count=count,
        histogram=both("histogram"),
        bin_width=width,
        token_minima=both("token_minima"),
        token_maxima=both("token_maxima"),
        sample_minima=np.concatenate([one.sample_minima, other.sample_minima]),
        sample_maxima=np.concatenate([one.sample_maxima, other.sample_maxima]),
        channel_absmax=np.maximum(one.channel_absmax, other.channel_absmax),
        channel_mean=one.channel_mean * (one.count / count)
        + other.channel_mean * (other.count / count),
    )


def _counts(values: Floats, width: float, first: int, size: int) -> Counts:
    """Returns how many of the values fall into each of `size` bins from number `first` on."""
    flat = values.reshape(-1)
    counts = np.zeros(size, dtype=np.int64)
    for start in range(0, flat.size, _CHUNK):
        numbers = _bin_numbers(flat[start : start + _CHUNK], width)
        numbers -= first
        counts += np.bincount(numbers, minlength=size)
    return counts


def _bin_numbers(values: Floats, width: float) -> Counts:
    """Returns ``floor(values / width)``, exactly.

    Multiplying by a power of two only moves the exponent, and no number here is above 2**24, so
    float32 is exact as long as nothing gets too small for it. Else it is done in float64.
    """
    if _FINEST_FOR_FLOAT32 <= width <= 1:
        scaled: NDArray[np.floating] = values * np.float32(1 / width)
    else:
        scaled = values.astype(np.float64) / width
    numbers: Counts = np.floor(scaled).astype(np.int64)
    return numbers


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
