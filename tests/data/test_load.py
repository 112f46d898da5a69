"""Loading from end to end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bertcompress.data import Columns, load_dataset
from bertcompress.errors import DataError, MissingDependencyError, UsageError
from bertcompress.examples import Answer, QuestionExample, TextExample, TokenExample

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


def test_pairs_with_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "sts.csv", "sentence1,sentence2,score\na,b,4\nc,d,3.5\n")

    data = load_dataset(path, task=TEXT, label_kind="number")

    assert data.examples[0] == TextExample("sts.csv:2", "a", "b", 4.0)


def test_several_labels(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "text,label\na,x;y\nb,\n")

    data = load_dataset(path, task=TEXT, columns=Columns(label_separator=";"))

    assert [example.label for example in data if isinstance(example, TextExample)] == [
        ("x", "y"),
        (),
    ]


def test_unlabelled_texts(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "text\na\nb\n")

    assert load_dataset(path, task="feature-extraction").examples[1] == TextExample("t.csv:3", "b")
    assert load_dataset(path, task=TEXT, require_labels=False).examples[0].id == "t.csv:2"


def test_questions_in_records(tmp_path: Path) -> None:
    row = {
        "question": "q",
        "context": "an answer",
        "answers": {"text": ["an"], "answer_start": [0]},
    }
    path = write(tmp_path, "t.jsonl", json.dumps(row))

    data = load_dataset(path, task="question-answering")

    assert data.examples == (QuestionExample("t.jsonl:1", "q", "an answer", (Answer("an", 0),)),)


def test_words_without_tags(tmp_path: Path) -> None:
    path = write(tmp_path, "t.jsonl", '{"tokens": ["a", "b"]}')

    data = load_dataset(path, task="token-classification", require_labels=False)

    assert data.examples == (TokenExample("t.jsonl:1", ("a", "b")),)


@pytest.mark.parametrize(
    ("row", "task", "sentence"),
    [
        (
            {"text": 3, "label": "x"},
            TEXT,
            "t.jsonl:1: column 'text' holds 3 where a text was asked",
        ),
        ({"text": None, "label": "x"}, TEXT, "column 'text' holds nothing where a text was asked"),
        (
            {"tokens": "a b", "tags": "O O"},
            "token-classification",
            "'tokens' holds 'a b' where a list with a value for each word was asked; use JSONL",
        ),
        (
            {"tokens": ["a", "b"], "tags": ["O"]},
            "token-classification",
            "t.jsonl:1 has 2 words in 'tokens' and 1 tags in 'tags'; each word needs one tag",
        ),
        (
            {"question": "q", "context": "c", "answers": "c"},
            "question-answering",
            "t.jsonl:1: the answers are 'c'; write them as",
        ),
    ],
)
def test_a_bad_value_names_its_row(
    tmp_path: Path, row: dict[str, object], task: str, sentence: str
) -> None:
    path = write(tmp_path, "t.jsonl", json.dumps(row))

    with pytest.raises(DataError, match=sentence):
        load_dataset(path, task=task)


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


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "data.xlsx", "hello\n")

    with pytest.raises(DataError, match=r"has no known ending; type the path of a file .*\.csv"):
        load_dataset(path, task=TEXT)


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
        ("banking77", TEXT, "validation", 1_000),
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
