"""What a model was trained on travels with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.artifacts.trained_rows import (
    TRAINED_ROWS_NAME,
    TrainedRows,
    read_trained_rows,
    with_trained_rows,
)
from bertcompress.errors import LoadError
from bertcompress.examples import TextExample

ROWS = [TextExample(str(at), f"film {at}", label="ab"[at % 2]) for at in range(6)]


def written(folder: Path) -> TrainedRows:
    files = with_trained_rows({}, ROWS[:2], step="Finetune", source="a.csv", split="train")
    files = with_trained_rows(files, ROWS[2:4], step="Recover", source=None, split=None)
    (folder / TRAINED_ROWS_NAME).write_bytes(files[TRAINED_ROWS_NAME])
    return read_trained_rows(folder)


def test_each_step_and_its_rows_are_known(tmp_path: Path) -> None:
    found = written(tmp_path)

    assert [(step.step, step.source, step.split, step.count) for step in found.steps] == [
        ("Finetune", "a.csv", "train", 2),
        ("Recover", None, None, 2),
    ]
    assert found.told == "a.csv, train, examples given in Python"
    assert found.known_among(ROWS) == 4
    assert found.known_among([TextExample("x", " FILM  3 ")]) == 1


def test_a_folder_without_the_file_knows_nothing(tmp_path: Path) -> None:
    assert read_trained_rows(tmp_path).known_among(ROWS) == 0


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / TRAINED_ROWS_NAME).write_text('{"format": 1}')
    with pytest.raises(LoadError, match=r"trained_rows\.json is damaged .*make the artifact again"):
        read_trained_rows(tmp_path)
