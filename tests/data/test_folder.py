"""Folders of files, splits and classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.data import load_dataset
from bertcompress.errors import DataError
from bertcompress.examples import Dataset, TextExample

CSV = "text,label\na,x\nb,y\n"


def write(folder: Path, **files: str) -> Path:
    """Writes files; two underscores in a name stand for a dot, three for a slash."""
    for name, text in files.items():
        path = folder / name.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def load(folder: Path, split: str | None = None, task: str = "text-classification") -> Dataset:
    return load_dataset(folder, task=task, split=split)


def test_a_file_for_each_split(tmp_path: Path) -> None:
    write(tmp_path, train__csv=CSV, dev__csv=CSV, test__csv=CSV, README__md="# test data")

    assert load(tmp_path).split == "test"
    assert load(tmp_path).examples[0].id == "test.csv:2"
    assert load(tmp_path, "validation").examples[0].id == "dev.csv:2"


def test_the_names_of_conll2003(tmp_path: Path) -> None:
    words = "-DOCSTART- O\n\nAnna I-PER\n\n"
    write(tmp_path, eng__train=words, eng__testa=words, eng__testb=words)

    for split, name in (("train", "eng.train"), ("validation", "eng.testa"), ("test", "eng.testb")):
        data = load(tmp_path, split, "token-classification")
        assert data.examples[0].id == f"{name}:3"


def test_a_folder_for_each_split_and_class(tmp_path: Path) -> None:
    write(
        tmp_path,
        train___pos___1__txt="good\n",
        train___neg___1__txt="bad",
        test___pos___2__txt="fine",
        test___neg___3__txt="poor",
        train___urls__txt="not an example",
    )

    data = load(tmp_path)

    assert data.examples == (
        TextExample("test/neg/3.txt", "poor", label="neg"),
        TextExample("test/pos/2.txt", "fine", label="pos"),
    )
    assert data.notes == ("the labels are the names of the folders: neg, pos",)


def test_a_folder_for_each_class_alone(tmp_path: Path) -> None:
    write(tmp_path, pos___1__txt="good", neg___1__txt="bad")

    data = load(tmp_path)

    assert (data.split, len(data)) == ("all", 2)


def test_a_split_folder_with_one_file(tmp_path: Path) -> None:
    write(tmp_path, train___data__csv=CSV, test___data__csv=CSV)

    assert load(tmp_path).split == "test"


def test_an_only_file_is_the_whole(tmp_path: Path) -> None:
    write(tmp_path, reviews__csv=CSV, README__md="read me")

    assert load(tmp_path).split == "all"


def test_shards_are_joined(tmp_path: Path) -> None:
    names = ("test-00000-of-00002.csv", "test-00001-of-00002.csv")
    for name in names:
        (tmp_path / name).write_text(CSV)

    data = load(tmp_path)

    assert [example.id for example in data.examples] == [
        f"{n}:{at}" for n in names for at in (2, 3)
    ]
    assert len(data.notes) == 1


@pytest.mark.parametrize("other", ["test-00002-of-00003.csv", "test-00002-of-00002.csv"])
def test_a_missing_shard_is_an_error(tmp_path: Path, other: str) -> None:
    for name in ("test-00001-of-00002.csv", other):
        (tmp_path / name).write_text(CSV)

    with pytest.raises(DataError, match="has not all shards of test, only test-00001"):
        load(tmp_path)


def test_the_plain_name_wins_and_is_noted(tmp_path: Path) -> None:
    write(tmp_path, test__csv=CSV, test_small__csv=CSV)

    assert load(tmp_path).notes[0] == (
        "of several files for test, test.csv was read and not test_small.csv"
    )


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            {"test_a__csv": CSV, "test_b__csv": CSV},
            "several files for test: test_a.csv, test_b.csv",
        ),
        ({"test__csv": CSV, "test__tsv": CSV}, "several files for test: test.csv, test.tsv; type"),
        ({"test__csv": CSV, "test___x__csv": CSV}, "both a file and a folder for test"),
        ({"one__csv": CSV, "two__csv": CSV}, "several data files and none is named after a split"),
        ({"notes__md": "x", "sub___x__csv": CSV}, "holds no data set, only notes.md, sub/; type"),
        ({}, "holds no data set, only nothing"),
    ],
)
def test_an_unclear_folder_is_listed(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    write(tmp_path, **files)

    with pytest.raises(DataError, match=sentence):
        load(tmp_path)


def test_class_folders_are_no_data_for_other_tasks(tmp_path: Path) -> None:
    write(tmp_path, pos___1__txt="good", neg___1__txt="bad")

    with pytest.raises(DataError, match=r"holds texts with labels, .*task is question-answering"):
        load(tmp_path, task="question-answering")
