"""Inputs, right answers and a model's answers as a table's cells show them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.bench.answer_text import (
    SHOWN_CHARACTERS,
    answer_text,
    example_text,
    gold_text,
    shortened,
)
from bertcompress.examples import Answer, Example, QuestionExample, TextExample, TokenExample

WORDS = TokenExample("0", ("Anna", "Berg", "left", "Rome"), ("B-PER", "I-PER", "O", "B-LOC"))
QUESTION = QuestionExample("0", "Who?", "Ada wrote.", (Answer("Ada", 0), Answer("Ada", 0)))


@pytest.mark.parametrize(
    ("example", "shown", "gold"),
    [
        (TextExample("0", "good\n film", "bad film", 0.25), "good film — bad film", "0.250"),
        (TextExample("0", "good film", label=("a", "b")), "good film", "a, b"),
        (TextExample("0", "good film"), "good film", "—"),
        (WORDS, "Anna Berg left Rome", "Anna Berg [PER], Rome [LOC]"),
        (QUESTION, "Who? — Ada wrote.", "Ada"),
        (QuestionExample("0", "Who?", "It rained.", ()), "Who? — It rained.", "(no answer)"),
    ],
)
def test_examples_are_shown_with_their_gold(example: Example, shown: str, gold: str) -> None:
    assert (example_text(example), gold_text(example)) == (shown, gold)


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (np.zeros((2, 5)), "vector of 5"),
        ((), "(none)"),
        ("", "(none)"),
        (0.12345, "0.123"),
        ("negative", "negative"),
    ],
)
def test_an_answer_is_shown_by_its_kind(answer: object, shown: str) -> None:
    assert answer_text(TextExample("0", "a"), answer) == shown


def test_words_without_an_entity_are_told() -> None:
    assert answer_text(WORDS, ("O", "O", "O", "O")) == "(none)"


def test_an_entity_is_shown_in_any_scheme() -> None:
    assert answer_text(WORDS, ("B-PER", "E-PER", "O", "S-LOC")) == "Anna Berg [PER], Rome [LOC]"
    assert answer_text(WORDS, ("I-PER", "I-PER", "O", "I-LOC")) == "Anna Berg [PER], Rome [LOC]"


@given(st.text(max_size=2 * SHOWN_CHARACTERS))
def test_a_cell_is_one_line_that_fits(text: str) -> None:
    shown = shortened(text)

    assert len(shown) <= SHOWN_CHARACTERS
    assert shown == " ".join(shown.split())
    assert " ".join(text.split()).startswith(shown.removesuffix("…"))
