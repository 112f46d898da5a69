"""Examples and the fingerprint of their content."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from bertcompress.examples import (
    Answer,
    Dataset,
    Example,
    QuestionExample,
    TextExample,
    TokenExample,
    fingerprint_of,
)

TEXT = TextExample("a.tsv:1", "good film", label="positive")
WORDS = TokenExample("a:1", ("Anna", "lives"), ("B-PER", "O"))
QUESTION = QuestionExample("q", "who", "Anna lives", (Answer("Anna", 0),))


def test_a_data_set_is_its_examples() -> None:
    data = Dataset((TEXT, WORDS, QUESTION), "a", "test")

    assert len(data) == 3
    assert list(data) == [TEXT, WORDS, QUESTION]
    assert data.fingerprint == fingerprint_of(data.examples)


def test_the_fingerprint_is_of_the_content_alone() -> None:
    moved = replace(TEXT, id="b.csv:7")

    assert Dataset((TEXT,), "a", "test").fingerprint == Dataset((moved,), "b", "all").fingerprint
    stored = b'{"label": "positive", "text": "good film", "text_pair": null}'
    assert fingerprint_of([TEXT]) == hashlib.sha256(stored).hexdigest()[:16]


@pytest.mark.parametrize(
    "other",
    [
        (),
        (TEXT, TEXT),
        (replace(TEXT, text="good films"),),
        (replace(TEXT, text_pair=""),),
        (replace(TEXT, label=None),),
        (replace(TEXT, label=1.0),),
        (replace(TEXT, label=("positive",)),),
    ],
)
def test_other_content_is_another_fingerprint(other: tuple[Example, ...]) -> None:
    assert fingerprint_of(other) != fingerprint_of([TEXT])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (WORDS, replace(WORDS, tags=("O", "O"))),
        (WORDS, replace(WORDS, words=("Anna lives",), tags=None)),
        (QUESTION, replace(QUESTION, answers=())),
        (QUESTION, replace(QUESTION, answers=(Answer("Anna", 1),))),
    ],
)
def test_words_and_answers_count(one: Example, other: Example) -> None:
    assert fingerprint_of([one]) != fingerprint_of([other])


def test_the_order_counts() -> None:
    assert fingerprint_of([TEXT, WORDS]) != fingerprint_of([WORDS, TEXT])


def test_half_an_emoji_has_a_fingerprint() -> None:
    """JSON files escape them in two halves, and some hold one."""
    assert len(fingerprint_of([replace(TEXT, text="ok \ud83d")])) == 16
