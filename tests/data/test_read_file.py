"""The ending names the format, for CoNLL columns the content does."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.data import load_dataset
from bertcompress.data.conll import looks_like_conll
from bertcompress.data.read_file import is_data_file, read_file
from bertcompress.data.table import ReadSettings
from bertcompress.errors import DataError

TEXT = "text-classification"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "data.xlsx", "hello\n")

    with pytest.raises(DataError, match=r"has no known ending; type the path of a file .*\.csv"):
        load_dataset(path, task=TEXT)


@pytest.mark.parametrize("name", ["train.tsv", "train.txt", "train.conll", "eng.train", "plain"])
def test_any_ending_will_do(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, "Anna\tB-PER\nsat\tO\n\n")

    assert load_dataset(path, task="token-classification").examples[0].id == f"{name}:1"
    assert looks_like_conll(path)


@pytest.mark.parametrize("name", ["t.csv", "t.TSV", "t.jsonl", "t.ndjson", "t.json", "t.parquet"])
def test_a_known_ending_is_enough_to_be_data(name: str, tmp_path: Path) -> None:
    assert is_data_file(tmp_path / name)  # it need not even be there


def test_of_other_files_the_content_decides(tmp_path: Path) -> None:
    assert is_data_file(write(tmp_path, "eng.testa", "Anna B-PER\n\n"))
    assert not is_data_file(write(tmp_path, "README", "hello\n"))


def test_ids_start_with_the_name_that_was_given(tmp_path: Path) -> None:
    path = write(tmp_path, "0000.csv", "text,label\na,x\n")

    (example,) = read_file(path, ReadSettings("text-classification"), name="train/0000").examples

    assert example.id == "train/0000:2"
