"""SQuAD's two versions."""

from __future__ import annotations

import pytest

from bertcompress.data.squad import answers_of, is_squad, read_squad
from bertcompress.errors import DataError
from bertcompress.examples import Answer, QuestionExample


def document(*questions: dict[str, object]) -> dict[str, object]:
    paragraph = {"context": "Anna lives in Berlin.", "qas": list(questions)}
    return {"version": "v2.0", "data": [{"title": "t", "paragraphs": [paragraph]}]}


ANSWERED: dict[str, object] = {
    "id": "q1",
    "question": "Who lives there?",
    "answers": [{"text": "Anna", "answer_start": 0}],
}


def test_both_versions_are_read() -> None:
    impossible: dict[str, object] = {
        "id": "q2",
        "question": "Why?",
        "answers": [],
        "plausible_answers": [{"text": "Berlin", "answer_start": 14}],
        "is_impossible": True,
    }

    reading = read_squad(document(ANSWERED, impossible), name="dev.json")

    assert reading.examples == (
        QuestionExample("q1", "Who lives there?", "Anna lives in Berlin.", (Answer("Anna", 0),)),
        QuestionExample("q2", "Why?", "Anna lives in Berlin.", ()),
    )
    assert reading.notes == ()


def test_a_repeated_id_is_replaced_by_the_place() -> None:
    reading = read_squad(document(ANSWERED, ANSWERED), name="dev.json")

    assert [example.id for example in reading.examples] == ["q1", "dev.json:2"]


def test_an_answer_at_the_wrong_place_is_noted() -> None:
    wrong = {**ANSWERED, "answers": [{"text": "Anna", "answer_start": 5}]}

    reading = read_squad(document(wrong), name="dev.json")

    assert reading.notes[0].startswith("1 answers are not at the place that answer_start gives")


def test_the_lists_of_the_datasets_library_are_read() -> None:
    value = {"text": ["a", "b"], "answer_start": [1, 2]}

    assert answers_of(value, place="t:1") == (Answer("a", 1), Answer("b", 2))
    assert answers_of(None, place="t:1") == ()


@pytest.mark.parametrize("value", ["Anna", {"text": ["a"], "answer_start": []}, [3]])
def test_answers_of_another_form_are_refused(value: object) -> None:
    with pytest.raises(DataError, match=r"t:1: the answers are .*; write them as"):
        answers_of(value, place="t:1")


@pytest.mark.parametrize("start", [None, -1, "3"])
def test_an_answer_without_a_place_is_refused(start: object) -> None:
    with pytest.raises(DataError, match="an answer needs a text and a start of 0 or more"):
        answers_of([{"text": "a", "answer_start": start}], place="t:1")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"data": [{"paragraphs": [{"qas": []}]}]}, "needs a text 'context', found None"),
        ({"data": [{"paragraphs": [{"context": "c"}]}]}, "needs a list 'qas', found None"),
        ({"data": [{"paragraphs": [{"context": "c", "qas": [3]}]}]}, "a question is 3"),
        ({"data": [{"paragraphs": []}]}, "SQuAD data without a question"),
        (document({"id": "q"}), "dev.json:1: SQuAD data needs a text 'question'"),
    ],
)
def test_a_broken_document_says_where(content: object, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_squad(content, name="dev.json")


def test_other_documents_are_not_squad() -> None:
    assert not is_squad([])
    assert not is_squad({"data": []})
    assert not is_squad({"data": [{"text": "a"}]})
