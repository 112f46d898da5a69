"""Samples in proportion to class and length."""

from __future__ import annotations

import doctest
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.errors import UsageError
from bertcompress.examples import QuestionExample, TextExample, TokenExample
from bertcompress.passes import samples
from bertcompress.passes.samples import draw_samples

SEEDS = st.integers(0, 5)


def rows(count: int) -> list[TextExample]:
    """A fifth is rare; the lengths rise and fall."""
    return [
        TextExample(f"t:{at}", "x" * (at * 37 % 101), label="rare" if at % 5 == 0 else "common")
        for at in range(count)
    ]


def test_example_in_the_docstring() -> None:
    outcome = doctest.testmod(samples)

    assert (outcome.failed, outcome.attempted > 0) == (0, True)


@given(st.integers(0, 120), st.integers(1, 120), SEEDS)
def test_as_many_as_asked_each_once(available: int, count: int, seed: int) -> None:
    drawn = draw_samples(rows(available), count, seed=seed)

    assert len({example.id for example in drawn}) == len(drawn) == min(count, available)


@given(st.integers(1, 120), SEEDS)
def test_a_seed_draws_the_same(count: int, seed: int) -> None:
    examples = rows(100)

    assert draw_samples(examples, count, seed=seed) == draw_samples(examples, count, seed=seed)


def test_another_seed_draws_others() -> None:
    draws = {draw_samples(rows(500), 20, seed=seed) for seed in range(5)}

    assert len(draws) == 5


@given(st.sampled_from([50, 100, 200]), SEEDS)
def test_classes_keep_their_proportions(count: int, seed: int) -> None:
    labels = Counter(one.label for one in _texts(draw_samples(rows(1000), count, seed=seed)))

    assert labels["rare"] == pytest.approx(count / 5, abs=10)


@given(SEEDS)
def test_every_tenth_of_the_lengths_gives_a_tenth(seed: int) -> None:
    examples = [TextExample(str(at), "x" * at) for at in range(1000)]

    drawn = draw_samples(examples, 50, seed=seed)

    assert Counter(int(one.id) // 100 for one in drawn) == dict.fromkeys(range(10), 5)


def test_the_shortest_come_first() -> None:
    for count in (30, 500):
        lengths = [len(one.text) for one in _texts(draw_samples(rows(200), count, seed=0))]

        assert lengths == sorted(lengths)


def test_every_shape_of_example_has_a_length() -> None:
    words = TokenExample("a", ("four", "five5"))  # 11 with a space after each
    question = QuestionExample("b", "who?", "anna")  # 8
    pair = TextExample("c", "good", "bad")  # 7

    assert draw_samples([words, question, pair], 9, seed=0) == (pair, question, words)


def test_no_samples_cannot_be_meant() -> None:
    with pytest.raises(UsageError, match="samples must be 1 or more, got 0"):
        draw_samples(rows(3), 0, seed=0)


def _texts(drawn: tuple[object, ...]) -> list[TextExample]:
    return [one for one in drawn if isinstance(one, TextExample)]
