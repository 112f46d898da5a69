"""One bad row does not block a file: it is skipped and counted, in every format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertcompress.data import load_dataset
from bertcompress.errors import DataError

GOOD, BAD = 4, 1


def csv(good: int, bad: int) -> str:
    return "text,label\n" + "a film,x\n" * good + "a film,x,y\n" * bad


def jsonl(good: int, bad: int) -> str:
    return '{"text": "a", "label": "x"}\n' * good + "{\n" * bad


def records(good: int, bad: int) -> str:
    return json.dumps([{"text": "a", "label": "x"}] * good + ["a"] * bad)


def conll(good: int, bad: int) -> str:
    return "Mira B-PER\nsings O\n\n" * good + "Mira B-PER\nsings\n\n" * bad


def squad(good: int, bad: int) -> str:
    answers = [{"text": "Oster", "answer_start": 0}]
    questions = [{"question": "?", "answers": answers}] * good + [{"answers": answers}] * bad
    paragraphs = [{"context": "Oster", "qas": questions}]
    return json.dumps({"data": [{"paragraphs": paragraphs}]})


def paragraphs(good: int, bad: int) -> str:
    content = json.loads(squad(good, 0))
    content["data"][0]["paragraphs"] += [{"context": "Oster"}] * bad
    return json.dumps(content)


@pytest.mark.parametrize(
    ("ending", "task", "text_of", "called"),
    [
        ("csv", "text-classification", csv, "rows"),
        ("jsonl", "text-classification", jsonl, "rows"),
        ("json", "text-classification", records, "rows"),
        ("conll", "token-classification", conll, "sentences"),
        ("json", "question-answering", squad, "questions"),
        ("json", "question-answering", paragraphs, "questions"),
    ],
)
def test_a_bad_row_is_skipped_and_counted_and_half_are_refused(
    tmp_path: Path, ending: str, task: str, text_of: object, called: str
) -> None:
    assert callable(text_of)
    path = tmp_path / f"a.{ending}"
    path.write_text(text_of(GOOD, BAD))

    found = load_dataset(path, task=task)

    assert len(found) == GOOD
    [note] = [note for note in found.notes if "skipped; the first" in note]
    assert note.startswith(f"1 of 5 {called} of a.{ending} were skipped; the first: ")
    path.write_text(text_of(GOOD, GOOD))
    with pytest.raises(DataError):
        load_dataset(path, task=task)
