"""Rows become examples of a task; what a task can't take names its row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertcompress.data import Columns, load_dataset
from bertcompress.errors import DataError
from bertcompress.examples import Answer, QuestionExample, TextExample, TokenExample, UnsplitExample

TEXT = "text-classification"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


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


def test_a_text_task_refuses_tagged_words(tmp_path: Path) -> None:
    path = write(tmp_path, "eng.train", "-DOCSTART- O\n\nAnna B-PER\n")

    with pytest.raises(DataError, match=r"words with tags \(CoNLL\).*task is text-classification"):
        load_dataset(path, task="text-classification")


def test_a_column_of_texts_is_left_to_the_tokenizer(tmp_path: Path) -> None:
    path = write(tmp_path, "t.jsonl", json.dumps({"said": "Anna lives."}))
    columns = Columns(text="said")

    data = load_dataset(path, task="token-classification", columns=columns, require_labels=False)

    assert data.examples == (UnsplitExample("t.jsonl:1", ("Anna", "lives."), text="Anna lives."),)
