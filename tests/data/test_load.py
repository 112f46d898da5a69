"""Loading from end to end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bertcompress.data import load_dataset
from bertcompress.errors import DataError, MissingDependencyError, UsageError
from bertcompress.examples import TextExample

TEXT = "text-classification"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path, "test.tsv", "text\tlabel\ngood\t1\nbad\t0\n")

    data = load_dataset(str(path), task=TEXT)

    assert data.examples == (
        TextExample("test.tsv:2", "good", label="1"),
        TextExample("test.tsv:3", "bad", label="0"),
    )
    assert (data.source, data.split) == (str(path), "all")


def test_labels_are_renamed_before_the_sample_is_drawn(tmp_path: Path) -> None:
    rows = "".join(f"t{at}\t{at % 2}\n" for at in range(40))
    path = write(tmp_path, "test.tsv", "text\tlabel\n" + rows)

    data = load_dataset(path, task=TEXT, limit=10, seed=3, label_map={"0": "no", "1": "yes"})

    assert [example.label for example in data if isinstance(example, TextExample)].count("no") == 5
    assert data.notes[1:] == (
        "labels renamed as asked: 0=no, 1=yes",
        "10 of 40 examples, drawn with seed 3, stratified by label",
    )


def test_the_seed_decides_the_sample(tmp_path: Path) -> None:
    path = write(tmp_path, "test.csv", "text,label\n" + "a,x\n" * 50)

    samples = [load_dataset(path, task=TEXT, limit=9, seed=seed).examples for seed in (0, 1, 1)]

    assert samples[0] != samples[1] == samples[2]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tset.csv", "tset.csv does not exist; did you mean 'test.csv'.; type the path"),
        ("no/where/test.csv", "does not exist, nor does the folder .*no/where; type the path"),
    ],
)
def test_a_missing_path_is_not_asked_of_the_hub(tmp_path: Path, name: str, sentence: str) -> None:
    write(tmp_path, "test.csv", "text,label\na,b\n")

    with pytest.raises(DataError, match=sentence):
        load_dataset(tmp_path / name, task=TEXT)


@pytest.mark.parametrize("name", ["train.csv", "made.csv/x", "./data", "~/data"])
def test_what_is_written_as_a_path_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "made.csv", "text,label\na,b\n")

    with pytest.raises(DataError, match="does not exist"):
        load_dataset(name, task=TEXT)


def test_a_name_that_the_hub_may_have_is_asked_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)

    for name in ("imdb", "owner/name", "hf:imdb"):
        with pytest.raises(MissingDependencyError, match=f"reading {name} from the hub"):
            load_dataset(name, task=TEXT)


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(DataError, match="the data set's name is empty; type the path"):
        load_dataset("", task=TEXT)


def test_settings_are_checked_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="limit must be 1 or more, got 0"):
        load_dataset(tmp_path / "none.csv", task=TEXT, limit=0)
    with pytest.raises(UsageError, match="task must be one of"):
        load_dataset(tmp_path / "none.csv", task="ner")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "task", "split", "count"),
    [
        ("sst2", TEXT, None, 1_821),
        ("sst2", TEXT, "train", 6_920),
        ("banking77", TEXT, "test", 3_080),
        ("banking77", TEXT, "validation", 994),
        ("banking77/train.csv", TEXT, None, 10_003),
        ("conll2003", "token-classification", None, 3_453),
        ("conll2003", "token-classification", "dev", 3_250),
        ("xquad", "question-answering", None, 1_190),
    ],
)
def test_real_data_loads_whole(
    shared: Path, name: str, task: str, split: str | None, count: int
) -> None:
    data = load_dataset(shared / "data" / name, task=task, split=split)

    assert len(data) == count
    assert len({example.id for example in data}) == count
