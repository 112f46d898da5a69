"""The table's file: written whole or not at all, and each way it can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.artifacts.calibration_table_file import HEADER_KEY
from bertcompress.errors import CalibrationError


def test_two_saves_have_the_same_bytes(table: CalibrationTable, tmp_path: Path) -> None:
    one, other = (table.save(tmp_path / name).read_bytes() for name in ("one", "other"))

    assert one == other


def test_the_file_is_plain_safetensors(table: CalibrationTable, tmp_path: Path) -> None:
    tensors = load_file(table.save(tmp_path / "table.safetensors"))

    assert tensors["layer_norm_1/histogram"].tolist() == [1, 0, 2, 3]
    assert tensors["layer_norm_1/channel_mean"].tolist() == [0.25, 0.5, 0.75]
    assert tensors["first_token/histogram"].shape == (0,)


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


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="there is no calibration table"):
        CalibrationTable.load(tmp_path / "table.safetensors")


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_truncated_file(table: CalibrationTable, tmp_path: Path, kept: int) -> None:
    path = table.save(tmp_path / "table.safetensors")
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(CalibrationError, match="is damaged or not a calibration table"):
        CalibrationTable.load(path)


def test_another_safetensors_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"weight": np.zeros(1)}, path, metadata={"format": "pt"})

    with pytest.raises(CalibrationError, match="safetensors file but not a calibration table"):
        CalibrationTable.load(path)


def test_a_newer_format(tmp_path: Path) -> None:
    path = tmp_path / "table.safetensors"
    save_file({}, path, metadata={HEADER_KEY: json.dumps({"format": 3})})

    with pytest.raises(CalibrationError, match="format 3, this bertcompress reads up to 2"):
        CalibrationTable.load(path)


@pytest.mark.parametrize(
    "header", ["{", "[]", '{"format": 1}', '{"format": 1, "ranges": []}', '{"format": "1"}']
)
def test_a_header_of_another_shape(tmp_path: Path, header: str) -> None:
    path = tmp_path / "table.safetensors"
    save_file({}, path, metadata={HEADER_KEY: header})

    with pytest.raises(CalibrationError, match="is damaged or not a calibration table"):
        CalibrationTable.load(path)
