"""A tensor's range: its bins, what is no range, and counts that were altered."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.artifacts.calibration_table_file import HEADER_KEY
from bertcompress.errors import CalibrationError

QUERY = "encoder.layer.0.attention.self.query"
POOLER = "pooler.dense"


def header_of(path: Path) -> str:
    with safe_open(path, framework="numpy") as file:
        return str(file.metadata()[HEADER_KEY])


def test_bins_begin_at_multiples_of_their_width(table: CalibrationTable) -> None:
    assert table.ranges[QUERY].bin_edges.tolist() == [-0.5, -0.25, 0.0, 0.25, 0.5]
    assert table.ranges[POOLER].bin_edges.size == 0


@pytest.mark.parametrize(
    ("low", "high", "minimum", "maximum"),
    [(1, -1, -2, 2), (-1, 1, 2, -2), (math.nan, 1, -2, 2), (-1, 1, -2, math.inf)],
)
def test_ranges_that_are_none(low: float, high: float, minimum: float, maximum: float) -> None:
    with pytest.raises(CalibrationError, match="the range of x must go from a smaller"):
        TensorRange("x", low, high, minimum, maximum, 1, np.zeros(0, dtype=np.int64))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("histogram", "histogram of .* does not hold 6 values"),
        ("token_minima", "token_minima of .* do not hold 2 tokens"),
        ("token_maxima", "token_maxima of .* do not hold 2 tokens"),
    ],
)
def test_altered_counts(table: CalibrationTable, tmp_path: Path, name: str, words: str) -> None:
    path = table.save(tmp_path / "table.safetensors")
    arrays = load_file(path)
    arrays[f"layer_norm_1/{name}"][1] += 1
    save_file(arrays, path, metadata={HEADER_KEY: header_of(path)})

    with pytest.raises(CalibrationError, match=words):
        CalibrationTable.load(path)


def test_a_histogram_that_is_missing(table: CalibrationTable, tmp_path: Path) -> None:
    path = table.save(tmp_path / "table")
    save_file({}, path, metadata={HEADER_KEY: header_of(path)})

    with pytest.raises(CalibrationError, match="is damaged"):
        CalibrationTable.load(tmp_path / "table")
