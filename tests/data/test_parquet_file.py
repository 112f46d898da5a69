"""Parquet."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from bertcompress.data import load_dataset
from bertcompress.data.parquet_file import read_parquet
from bertcompress.errors import DataError, MissingDependencyError
from bertcompress.examples import TextExample, TokenExample


def test_texts_and_integer_classes(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    parquet.write_table(pa.table({"sentence": ["a", "b"], "label": [0, 1]}), path)

    data = load_dataset(path, task="text-classification")

    assert data.examples == (
        TextExample("test.parquet:1", "a", label="0"),
        TextExample("test.parquet:2", "b", label="1"),
    )


def test_words_and_tags(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    rows = {"tokens": [["Anna", "sat"]], "ner_tags": [["I-PER", "O"]]}
    parquet.write_table(pa.table(rows), path)

    data = load_dataset(path, task="token-classification")

    assert data.examples == (TokenExample("test.parquet:1", ("Anna", "sat"), ("B-PER", "O")),)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    parquet.write_table(pa.table({"text": pa.array([], pa.string())}), path)

    with pytest.raises(DataError, match="has the columns text and no rows; type the path"):
        read_parquet(path, name="test.parquet")


def test_what_is_not_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.parquet"
    path.write_text("text,label\na,b\n")

    with pytest.raises(DataError, match=r"can't be read as Parquet: .*rename it") as caught:
        read_parquet(path, name="test.parquet")

    assert caught.value.__cause__ is not None


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(MissingDependencyError, match=r'type: pip install "bertcompress\[data\]"'):
        read_parquet(tmp_path / "test.parquet", name="test.parquet")
