"""The calibration table: what was seen of the input of each matrix product, and its range.

One table serves every runtime and every method; each quantize pass makes its own graph from it. The
table knows which weights and which data it was made from, and refuses other weights. It is kept in
one safetensors file: the statistics are its arrays, and everything else is a JSON header.

    metadata["calibration_table"] = {
      "format": 2, "method": "percentile", "seed": 0, "sample_ids": ["train.tsv:17", …],
      "split": "train", "data_fingerprint": "…", "weights_fingerprint": "…",
      "stability": {"seeds": [0, 1, 2, 3, 4], "changes": {"encoder.layer.0…": 0.013, …}},
      "ranges": {"encoder.layer.0.attention.self.query": {
        "tensor": "layer_norm_1", "low": -3.1, "high": 4.2, "minimum": -5.0, "maximum": 9.7,
        "count": 3110400, "bin_width": 0.0078125}, …}
    }
    tensors["layer_norm_1/histogram"] = int64 [bins]; also token_minima, token_maxima,
    sample_minima, sample_maxima, channel_absmax and channel_mean, see `TensorRange`

The key of a range is the module path; modules with the same ``tensor`` (query, key and value) are a
share group: they read one tensor of the graph, have one range, and the file holds its arrays once.
Format 1 had the histogram alone, under the module's name; it is still read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.calibration_table_file import AGAIN, TableFile, open_table, write_table
from bertcompress.errors import CalibrationError, did_you_mean

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
        low: The smallest value that quantization must represent.
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
        counted = self.bin_width > 0 or not self.histogram.size
        if not (ordered and counted and all(map(math.isfinite, (*ends, self.bin_width)))):
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


@dataclass(frozen=True)
class Stability:
    """How far ranges move when other samples are drawn.

    Attributes:
        seeds: The seeds that samples were drawn with.
        changes: By the first module that reads a tensor: how far the end of its range that moves
            more moves over the seeds, as a fraction of all that the ranges span together, 0..1.
    """

    seeds: tuple[int, ...]
    changes: Mapping[str, float]

    @property
    def least_stable(self) -> str:
        """The module whose range moves the furthest."""
        return max(self.changes, key=lambda module: self.changes[module])

    @property
    def largest(self) -> float:
        """How far that is."""
        return self.changes[self.least_stable]


@dataclass(frozen=True)
class CalibrationTable:
    """The range of every weight product's input.

    Attributes:
        ranges: By the module path of the product that takes the tensor as its input
            (``encoder.layer.0.attention.self.query``); several products may share a tensor.
        method: How `low` and `high` were chosen, a name in ``bertcompress_calibration.METHODS``.
        sample_ids: The ids of the examples that were run.
        seed: Decided which examples were drawn.
        data_fingerprint: Of the data set that they were drawn from.
        weights_fingerprint: Of the float graph that ran.
        split: The split that they are of (``train``, ``all``); ``random`` where the texts were
            drawn from the vocabulary; None where that is not known.
        stability: How far the ranges move over seeds, if that was measured.
    """

    ranges: Mapping[str, TensorRange]
    method: str
    sample_ids: tuple[str, ...]
    seed: int
    data_fingerprint: str
    weights_fingerprint: str
    split: str | None = None
    stability: Stability | None = None

    @property
    def share_groups(self) -> Mapping[str, tuple[str, ...]]:
        """The modules that read each tensor, by its name in the graph."""
        groups: dict[str, tuple[str, ...]] = {}
        for module, tensor_range in self.ranges.items():
            groups[tensor_range.tensor] = (*groups.get(tensor_range.tensor, ()), module)
        return groups

    def range_of(self, module: str) -> TensorRange:
        """Returns the range of the input of a module's matrix product.

        Raises:
            CalibrationError: The table has no such module.
        """
        if module not in self.ranges:
            raise CalibrationError(
                f"the calibration table has no range for {module}, only for {len(self.ranges)} "
                f"other modules; {AGAIN} with the model that you quantize"
                f"{did_you_mean(module, self.ranges)}"
            )
        return self.ranges[module]

    def check_fits(self, weights_fingerprint: str) -> None:
        """Fails with a CalibrationError if the table was made for other weights."""
        if weights_fingerprint != self.weights_fingerprint:
            raise CalibrationError(
                f"the calibration table was made for the weights {self.weights_fingerprint}, the "
                f"model has {weights_fingerprint}; {AGAIN} with this model"
            )

    def save(self, path: Path | str) -> Path:
        """Writes the table into one file, whole or not at all; replaces a file that is there.

        Returns:
            The path.

        Raises:
            CalibrationError: It can't be written, or two modules of one tensor do not have the
                same statistics.
        """
        arrays: dict[str, Counts | Floats] = {}
        for module, tensor_range in self.ranges.items():
            for key, values in _arrays_of(tensor_range).items():
                if key in arrays and not np.array_equal(arrays[key], values):
                    raise CalibrationError(
                        f"{module} has another {key} than its neighbour of the same input; {AGAIN}"
                    )
                arrays[key] = values
        facts = {field_.name: getattr(self, field_.name) for field_ in fields(self)}
        facts["ranges"] = {
            module: _facts_of(tensor_range) for module, tensor_range in self.ranges.items()
        }
        facts["stability"] = None if self.stability is None else asdict(self.stability)
        write_table(Path(path), facts, arrays)
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Reads a table that `save` wrote.

        Raises:
            CalibrationError: It is not there, is no calibration table, is damaged, or was written
                by a newer version.
        """
        with open_table(Path(path)) as (facts, file):
            kept = {str(name): value for name, value in facts.items() if name != "format"}
            ranges = {
                module: _read_range(file, module, entry, version=facts["format"])
                for module, entry in facts["ranges"].items()
            }
            kept["sample_ids"] = tuple(facts["sample_ids"])
            if facts.get("stability") is not None:
                stability = facts["stability"]
                kept["stability"] = Stability(tuple(stability["seeds"]), stability["changes"])
            return cls(**{**kept, "ranges": ranges})


def _arrays_of(tensor_range: TensorRange) -> dict[str, Counts | Floats]:
    """Returns the arrays that there are, by their names in the file."""
    arrays = {f"{tensor_range.tensor}/{name}": getattr(tensor_range, name) for name in _ARRAYS}
    return {key: values for key, values in arrays.items() if values is not None}


def _facts_of(tensor_range: TensorRange) -> dict[str, object]:
    """Returns all but the arrays, for the header."""
    names = [each.name for each in fields(tensor_range) if each.name not in _ARRAYS]
    return {name: getattr(tensor_range, name) for name in names}


def _read_range(
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
    tensor_range = TensorRange(**facts, **arrays)
    _check_counts(module, tensor_range)
    return tensor_range


def _check_counts(module: str, tensor_range: TensorRange) -> None:
    if tensor_range.histogram.size and int(tensor_range.histogram.sum()) != tensor_range.count:
        raise ValueError(f"the histogram of {module} does not hold {tensor_range.count:,} values")
    if tensor_range.channel_absmax is None:
        return
    tokens = tensor_range.count // tensor_range.channel_absmax.size
    for name in ("token_minima", "token_maxima"):
        counts = getattr(tensor_range, name)
        if counts is not None and int(counts.sum()) != tokens:
            raise ValueError(f"the {name} of {module} do not hold {tokens:,} tokens")
