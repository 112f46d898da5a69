"""The table: it comes back, its groups share their statistics, and it fits one model."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.artifacts.calibration_table_file import HEADER_KEY
from bertcompress.errors import CalibrationError

QUERY = "encoder.layer.0.attention.self.query"
KEY = "encoder.layer.0.attention.self.key"
POOLER = "pooler.dense"
ARRAYS = (
    *("histogram", "token_minima", "token_maxima"),
    *("sample_minima", "sample_maxima", "channel_absmax", "channel_mean"),
)


def test_comes_back_as_it_was_saved(table: CalibrationTable, tmp_path: Path) -> None:
    path = table.save(tmp_path / "new" / "table.safetensors")

    again = CalibrationTable.load(path)

    assert again == table
    for module, one in table.ranges.items():
        for name in ARRAYS:
            kept, read = getattr(one, name), getattr(again.ranges[module], name)
            assert (read is None) == (kept is None)
            assert kept is None or (kept.dtype == read.dtype and np.array_equal(kept, read))


def test_modules_that_read_one_tensor_are_a_group(table: CalibrationTable, tmp_path: Path) -> None:
    assert table.share_groups == {"layer_norm_1": (QUERY, KEY), "first_token": (POOLER,)}
    keys = load_file(table.save(tmp_path / "table"))

    assert len(keys) == len(ARRAYS) + 1  # each group's arrays once


def test_a_group_has_one_set_of_statistics(table: CalibrationTable, tmp_path: Path) -> None:
    other = replace(table.ranges[QUERY], channel_mean=np.zeros(3, dtype=np.float32))

    with pytest.raises(CalibrationError, match=r"key has another layer_norm_1/channel_mean"):
        replace(table, ranges={**table.ranges, KEY: other}).save(tmp_path / "table")


def test_a_file_of_format_1(tmp_path: Path) -> None:
    """As it was written before tables held more than histograms, under the modules' names."""
    path = tmp_path / "table.safetensors"
    facts = {
        "format": 1,
        "method": "percentile",
        "seed": 7,
        "sample_ids": ["train.tsv:1"],
        "data_fingerprint": "01",
        "weights_fingerprint": "23",
        "ranges": {
            QUERY: {
                **{"tensor": "x", "low": -0.1, "high": 0.7, "minimum": -0.3, "maximum": 0.8},
                **{"count": 6, "bin_width": 0.25},
            }
        },
    }
    counts = np.array([1, 0, 2, 3], dtype=np.int64)
    save_file({QUERY: counts}, path, metadata={HEADER_KEY: json.dumps(facts)})

    table = CalibrationTable.load(path)

    read = table.range_of(QUERY)
    assert (table.method, table.seed, table.sample_ids) == ("percentile", 7, ("train.tsv:1",))
    assert (table.split, table.stability) == (None, None)
    assert (read.tensor, read.low, read.high, read.bin_width) == ("x", -0.1, 0.7, 0.25)
    assert np.array_equal(read.histogram, counts)
    assert all(getattr(read, name) is None for name in ARRAYS[1:])


def test_the_least_stable_module_is_named(table: CalibrationTable) -> None:
    assert table.stability is not None
    assert (table.stability.least_stable, table.stability.largest) == (QUERY, 0.02)


def test_ranges_by_module(table: CalibrationTable) -> None:
    assert table.range_of(QUERY).high == 0.7


def test_a_missing_module_is_named_with_the_nearest(table: CalibrationTable) -> None:
    asked = QUERY.replace("query", "quary")

    with pytest.raises(CalibrationError) as caught:
        table.range_of(asked)

    assert f"no range for {asked}, only for 3 other modules; calibrate again" in str(caught.value)
    assert f"did you mean '{QUERY}'?" in str(caught.value)


def test_fits_only_its_own_weights(table: CalibrationTable) -> None:
    table.check_fits("fedcba9876543210")

    with pytest.raises(CalibrationError, match=r"weights fedcba9876543210, the model has 00ff; "):
        table.check_fits("00ff")


def test_tables_with_another_range_differ(table: CalibrationTable) -> None:
    other = replace(table.ranges[QUERY], high=0.8)

    assert replace(table, ranges={**table.ranges, QUERY: other}) != table


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
