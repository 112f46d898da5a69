"""The table's file: round trip, and every way it can be wrong."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bertcompress.calibration_table import HEADER_KEY, CalibrationTable, TensorRange
from bertcompress.errors import CalibrationError

QUERY = "encoder.layer.0.attention.self.query"
POOLER = "pooler.dense"


@pytest.fixture
def table() -> CalibrationTable:
    query = TensorRange(
        tensor="layer_norm_1",
        low=-0.1,
        high=0.7,
        minimum=-0.3,
        maximum=0.8,
        count=6,
        histogram=np.array([1, 0, 2, 3], dtype=np.int64),
        bin_width=0.25,
    )
    pooler = TensorRange("first_token", -1.0, 1.0, -1.0, 1.0, 9, np.zeros(0, dtype=np.int64))
    return CalibrationTable(
        ranges={QUERY: query, POOLER: pooler},
        method="percentile",
        sample_ids=("train.tsv:1", "train.tsv:ü"),
        seed=7,
        data_fingerprint="0123456789abcdef",
        weights_fingerprint="fedcba9876543210",
    )


def test_comes_back_as_it_was_saved(table: CalibrationTable, tmp_path: Path) -> None:
    path = table.save(tmp_path / "new" / "table.safetensors")

    again = CalibrationTable.load(path)

    assert again == table
    for module, one in table.ranges.items():
        assert again.ranges[module].histogram.dtype == np.int64
        assert np.array_equal(again.ranges[module].histogram, one.histogram)


def test_two_saves_have_the_same_bytes(table: CalibrationTable, tmp_path: Path) -> None:
    one, other = (table.save(tmp_path / name).read_bytes() for name in ("one", "other"))

    assert one == other


def test_the_file_is_plain_safetensors(table: CalibrationTable, tmp_path: Path) -> None:
    tensors = load_file(table.save(tmp_path / "table.safetensors"))

    assert tensors[QUERY].tolist() == [1, 0, 2, 3]
    assert tensors[POOLER].shape == (0,)


def test_saving_replaces_and_leaves_nothing_beside(table: CalibrationTable, tmp_path: Path) -> None:
    path = tmp_path / "table.safetensors"
    path.write_bytes(b"old")

    table.save(path)

    assert CalibrationTable.load(path) == table
    assert [one.name for one in tmp_path.iterdir()] == ["table.safetensors"]


def test_a_place_that_cannot_be_written(table: CalibrationTable, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(CalibrationError, match="can't write the calibration table"):
        table.save(tmp_path / "file" / "table.safetensors")


def test_a_failed_save_leaves_nothing_behind(table: CalibrationTable, tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()

    with pytest.raises(CalibrationError, match="can't write"):
        table.save(tmp_path / "table")

    assert [one.name for one in tmp_path.iterdir()] == ["table"]


def test_ranges_by_module(table: CalibrationTable) -> None:
    assert table.range_of(QUERY).high == 0.7


def test_a_missing_module_is_named_with_the_nearest(table: CalibrationTable) -> None:
    asked = QUERY.replace("query", "quary")

    with pytest.raises(CalibrationError) as caught:
        table.range_of(asked)

    assert f"no range for {asked}, only for 2 other modules; calibrate again" in str(caught.value)
    assert f"did you mean '{QUERY}'?" in str(caught.value)


def test_fits_only_its_own_weights(table: CalibrationTable) -> None:
    table.check_fits("fedcba9876543210")

    with pytest.raises(CalibrationError, match=r"weights fedcba9876543210, the model has 00ff; "):
        table.check_fits("00ff")


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


# --- files that are no tables ---------------------------------------------------------------------


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="there is no calibration table"):
        CalibrationTable.load(tmp_path / "table.safetensors")


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_truncated_file(table: CalibrationTable, tmp_path: Path, kept: int) -> None:
    path = table.save(tmp_path / "table.safetensors")
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(CalibrationError, match="is damaged or not a calibration table"):
        CalibrationTable.load(path)


def test_altered_counts(table: CalibrationTable, tmp_path: Path) -> None:
    path = table.save(tmp_path / "table.safetensors")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\x01")

    with pytest.raises(CalibrationError, match=f"the histogram of {QUERY} does not hold 6 values"):
        CalibrationTable.load(path)


def test_another_safetensors_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": np.zeros(1)}, path, metadata={"format": "pt"})

    with pytest.raises(CalibrationError, match="safetensors file but not a calibration table"):
        CalibrationTable.load(path)


def test_a_newer_format(tmp_path: Path) -> None:
    path = tmp_path / "table.safetensors"
    save_file({}, path, metadata={HEADER_KEY: json.dumps({"format": 2})})

    with pytest.raises(CalibrationError, match="format 2, this bertcompress reads up to 1"):
        CalibrationTable.load(path)


@pytest.mark.parametrize(
    "header", ["{", "[]", '{"format": 1}', '{"format": 1, "ranges": []}', '{"format": "1"}']
)
def test_a_header_of_another_shape(tmp_path: Path, header: str) -> None:
    path = tmp_path / "table.safetensors"
    save_file({}, path, metadata={HEADER_KEY: header})

    with pytest.raises(CalibrationError, match="is damaged or not a calibration table"):
        CalibrationTable.load(path)


def test_a_histogram_that_is_missing(table: CalibrationTable, tmp_path: Path) -> None:
    header = table._header()
    save_file({}, tmp_path / "table", metadata={HEADER_KEY: header})

    with pytest.raises(CalibrationError, match="is damaged"):
        CalibrationTable.load(tmp_path / "table")


def test_tables_with_another_range_differ(table: CalibrationTable) -> None:
    other = replace(table.ranges[QUERY], high=0.8)

    assert replace(table, ranges={**table.ranges, QUERY: other}) != table
