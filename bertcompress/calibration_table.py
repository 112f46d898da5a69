"""The calibration table: what range the input of each matrix product takes, and how we know.

One table serves every runtime; each quantize pass makes its own graph from it. The table knows
which weights and which data it was made from, and refuses other weights. It is kept in one
safetensors file: the histograms are its tensors, and everything else is a JSON header in the
file's metadata, so that nothing in it is ever executed.

    metadata["calibration_table"] = {
      "format": 1, "method": "percentile", "seed": 0, "sample_ids": ["train.tsv:17", …],
      "data_fingerprint": "…", "weights_fingerprint": "…",
      "ranges": {"encoder.layer.0.attention.self.query": {
        "tensor": "…", "low": -3.1, "high": 4.2, "minimum": -5.0, "maximum": 9.7,
        "count": 3110400, "bin_width": 0.0078125}, …}
    }
    tensors["encoder.layer.0.attention.self.query"] = int64 [bins]
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError, did_you_mean

FORMAT_VERSION = 1
HEADER_KEY = "calibration_table"
_AGAIN = "calibrate again"
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError)
"""What reading a header of another shape than ours raises."""


class _SafetensorsFile(Protocol):
    """The part of an open safetensors file that a table is read from; its library has no types."""

    def metadata(self) -> Mapping[str, str] | None: ...

    def get_tensor(self, name: str) -> NDArray[np.int64]: ...


@dataclass(frozen=True)
class TensorRange:
    """What was seen of one tensor, and the range decided for it.

    Two are equal if all but the histograms are.

    Attributes:
        tensor: Its name in the graph that was calibrated.
        low: The smallest value that quantization shall represent.
        high: The largest.
        minimum: The smallest value seen.
        maximum: The largest value seen.
        count: How many values were seen, padding left out.
        histogram: int64 ``[bins]``: how many values fell into each bin from the one that holds
            `minimum` to the one that holds `maximum`. Size 0 if the method keeps none.
        bin_width: The width of a bin; bins begin at multiples of it. 0 without a histogram.
    """

    tensor: str
    low: float
    high: float
    minimum: float
    maximum: float
    count: int
    histogram: NDArray[np.int64] = field(compare=False, repr=False)
    bin_width: float = 0.0

    def __post_init__(self) -> None:
        ends = (self.minimum, self.maximum, self.low, self.high)
        ordered = self.minimum <= self.maximum and self.low <= self.high
        if not (ordered and all(math.isfinite(end) for end in ends)):
            raise CalibrationError(
                f"the range of {self.tensor} must go from a smaller to a larger finite number, got "
                f"{self.low} to {self.high} (seen {self.minimum} to {self.maximum}); {_AGAIN}"
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
class CalibrationTable:
    """The range of every weight product's input.

    Attributes:
        ranges: By the module path of the product that takes the tensor as its input
            (``encoder.layer.0.attention.self.query``); several products may share a tensor.
        method: How `low` and `high` were chosen: ``minmax`` or ``percentile``.
        sample_ids: The ids of the examples that were run.
        seed: Decided which examples were drawn.
        data_fingerprint: Of the data set that they were drawn from.
        weights_fingerprint: Of the float graph that ran.
    """

    ranges: Mapping[str, TensorRange]
    method: str
    sample_ids: tuple[str, ...]
    seed: int
    data_fingerprint: str
    weights_fingerprint: str

    def range_of(self, module: str) -> TensorRange:
        """Returns the range of the input of a module's matrix product.

        Raises:
            CalibrationError: The table has no such module.
        """
        if module not in self.ranges:
            raise CalibrationError(
                f"the calibration table has no range for {module}, only for {len(self.ranges)} "
                f"other modules; {_AGAIN} with the model that you quantize"
                f"{did_you_mean(module, self.ranges)}"
            )
        return self.ranges[module]

    def check_fits(self, weights_fingerprint: str) -> None:
        """Fails with a CalibrationError if the table was made for other weights."""
        if weights_fingerprint != self.weights_fingerprint:
            raise CalibrationError(
                f"the calibration table was made for the weights {self.weights_fingerprint}, the "
                f"model has {weights_fingerprint}; {_AGAIN} with this model"
            )

    def save(self, path: Path | str) -> Path:
        """Writes the table into one file, whole or not at all; replaces a file that is there.

        Returns:
            The path.

        Raises:
            CalibrationError: It can't be written.
        """
        from safetensors.numpy import save

        histograms = {module: one.histogram for module, one in self.ranges.items()}
        target = Path(path)
        content = save(histograms, metadata={HEADER_KEY: self._header()})
        try:
            _write_whole(target, content)
        except OSError as error:
            raise CalibrationError(
                f"can't write the calibration table {target}: {error.strerror or error}; "
                "name a file in a folder that you may write to"
            ) from error
        return target

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Reads a table that `save` wrote.

        Raises:
            CalibrationError: It is not there, is no calibration table, is damaged, or was written
                by a newer version.
        """
        from safetensors import SafetensorError, safe_open

        source = Path(path)
        if not source.is_file():
            raise CalibrationError(f"there is no calibration table {source}; name the file")
        try:
            with safe_open(source, framework="numpy") as file:
                return cls._from_file(cast("_SafetensorsFile", file), source)
        except (SafetensorError, OSError, *_MALFORMED) as error:
            raise CalibrationError(
                f"{source} is damaged or not a calibration table ({error}); {_AGAIN}"
            ) from error

    def _header(self) -> str:
        facts = {
            "format": FORMAT_VERSION,
            "method": self.method,
            "seed": self.seed,
            "sample_ids": list(self.sample_ids),
            "data_fingerprint": self.data_fingerprint,
            "weights_fingerprint": self.weights_fingerprint,
            "ranges": {module: _range_facts(one) for module, one in self.ranges.items()},
        }
        return json.dumps(facts, ensure_ascii=False, allow_nan=False)

    @classmethod
    def _from_file(cls, file: _SafetensorsFile, source: Path) -> Self:
        text = (file.metadata() or {}).get(HEADER_KEY)
        if text is None:
            raise CalibrationError(
                f"{source} is a safetensors file but not a calibration table; name the file that "
                "a calibration wrote"
            )
        facts = json.loads(text)
        if facts["format"] > FORMAT_VERSION:
            raise CalibrationError(
                f"{source} has format {facts['format']}, this bertcompress reads up to "
                f"{FORMAT_VERSION}; type: pip install --upgrade bertcompress"
            )
        ranges = {
            module: TensorRange(**one, histogram=file.get_tensor(module))
            for module, one in facts["ranges"].items()
        }
        for module, one in ranges.items():
            _check_histogram(module, one)
        return cls(
            ranges=ranges,
            method=facts["method"],
            sample_ids=tuple(facts["sample_ids"]),
            seed=facts["seed"],
            data_fingerprint=facts["data_fingerprint"],
            weights_fingerprint=facts["weights_fingerprint"],
        )


def _range_facts(one: TensorRange) -> dict[str, object]:
    return {name: value for name, value in asdict(one).items() if name != "histogram"}


def _check_histogram(module: str, one: TensorRange) -> None:
    """Finds altered payloads: the counts have to add up to what the header says."""
    if one.histogram.size and int(one.histogram.sum()) != one.count:
        raise ValueError(f"the histogram of {module} does not hold {one.count:,} values")


def _write_whole(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    staging = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        staging.chmod(0o644)
        staging.replace(target)
    finally:
        staging.unlink(missing_ok=True)
