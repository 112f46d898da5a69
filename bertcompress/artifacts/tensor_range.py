"""One tensor of a calibration table: what was seen of it, its range, and how both are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.calibration_table_file import AGAIN, TableFile
from bertcompress.errors import CalibrationError

Counts = NDArray[np.int64]
Floats = NDArray[np.float32]

_ARRAYS = (
    *("histogram", "token_minima", "token_maxima"),
    *("sample_minima", "sample_maxima", "channel_absmax", "channel_mean"),
)


@dataclass(frozen=True)
class TensorRange:
    """What was seen of one tensor ``[…, in]``, and the range decided for it.

    Padding is left out of everything. The arrays after `bin_width` are None in a table that was
    made by hand or written in format 1. Two are equal if all but their arrays are.

    Attributes:
        tensor: Its name in the graph that was calibrated.
        low: The smallest value that quantization shall represent.
        high: The largest.
        minimum: The smallest value seen.
        maximum: The largest value seen.
        count: How many values were seen.
        histogram: int64 ``[bins]``: how many values fell into each bin from the one that holds
            `minimum` to the one that holds `maximum`. Size 0 if none was kept.
        bin_width: The width of a bin; bins begin at multiples of it. 0 without a histogram.
        token_minima: int64 ``[bins]``, in the same bins: of each token's vector the smallest value.
        token_maxima: int64 ``[bins]``: of each token's vector the largest value.
        sample_minima: float32 ``[samples]``: the smallest value of each sample, in the order of
            the samples (an example that was cut into several inputs gives several).
        sample_maxima: float32 ``[samples]``: the largest.
        channel_absmax: float32 ``[in]``: the largest size of each channel.
        channel_mean: float32 ``[in]``: the mean of each channel over all tokens.
    """

    tensor: str
    low: float
    high: float
    minimum: float
    maximum: float
    count: int
    histogram: Counts = field(compare=False, repr=False)
    bin_width: float = 0.0
    token_minima: Counts | None = field(default=None, compare=False, repr=False)
    token_maxima: Counts | None = field(default=None, compare=False, repr=False)
    sample_minima: Floats | None = field(default=None, compare=False, repr=False)
    sample_maxima: Floats | None = field(default=None, compare=False, repr=False)
    channel_absmax: Floats | None = field(default=None, compare=False, repr=False)
    channel_mean: Floats | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        ends = (self.minimum, self.maximum, self.low, self.high)
        ordered = self.minimum <= self.maximum and self.low <= self.high
        if not (ordered and all(math.isfinite(end) for end in ends)):
            raise CalibrationError(
                f"the range of {self.tensor} must go from a smaller to a larger finite number, got "
                f"{self.low} to {self.high} (seen {self.minimum} to {self.maximum}); {AGAIN}"
            )

    @property
    def bin_edges(self) -> NDArray[np.float64]:
        """Where the bins begin and the last one ends, float64 ``[bins + 1]``; else size 0."""
        if not self.histogram.size:
            return np.zeros(0)
        first = math.floor(self.minimum / self.bin_width)
        steps = np.arange(first, first + self.histogram.size + 1, dtype=np.float64)
        return np.asarray(steps * self.bin_width, dtype=np.float64)


def arrays_of(one: TensorRange) -> dict[str, Counts | Floats]:
    """Returns the arrays that there are, by their names in the file."""
    found = {f"{one.tensor}/{name}": getattr(one, name) for name in _ARRAYS}
    return {key: values for key, values in found.items() if values is not None}


def facts_of(one: TensorRange) -> dict[str, object]:
    """Returns all but the arrays, for the header."""
    names = [each.name for each in fields(one) if each.name not in _ARRAYS]
    return {name: getattr(one, name) for name in names}


def read_range(
    file: TableFile, module: str, facts: Mapping[str, Any], *, version: int
) -> TensorRange:
    """Returns the range that a file holds for a module.

    Args:
        file: The open file.
        module: The module path.
        facts: What the header says of it.
        version: The file's format.

    Raises:
        ValueError: The payload was altered: its counts do not add up to what the header says.
    """
    if version == 1:
        keys = {"histogram": module}
    else:
        there = set(file.keys())
        keys = {name: f"{facts['tensor']}/{name}" for name in _ARRAYS}
        keys = {name: key for name, key in keys.items() if key in there}
    arrays: dict[str, Any] = {name: file.get_tensor(key) for name, key in keys.items()}
    one = TensorRange(**facts, **arrays)
    _check_counts(module, one)
    return one


def _check_counts(module: str, one: TensorRange) -> None:
    if one.histogram.size and int(one.histogram.sum()) != one.count:
        raise ValueError(f"the histogram of {module} does not hold {one.count:,} values")
    if one.channel_absmax is None:
        return
    tokens = one.count // one.channel_absmax.size
    for name in ("token_minima", "token_maxima"):
        counts = getattr(one, name)
        if counts is not None and int(counts.sum()) != tokens:
            raise ValueError(f"the {name} of {module} do not hold {tokens:,} tokens")
