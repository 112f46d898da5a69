"""Which answers count as the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.tasks.base import Prediction
from bertcompress.tasks.same_answers import same_answers

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8)


def same(first: list[object], second: list[object]) -> list[bool]:
    return same_answers([Prediction(one) for one in first], [Prediction(one) for one in second])


def test_words_are_the_same_when_equal() -> None:
    assert same(["a", ("a", "b"), ""], ["a", ("a", "c"), "x"]) == [True, False, False]


def test_numbers_are_measured_by_the_spread_of_the_first_models() -> None:
    assert same([0.0, 2.0], [0.09, 2.11]) == [True, False]  # their standard deviation is 1
    assert same([5.0], [5.0]) == [True]
    assert same([0.0, 2.0], [float("nan"), 2.0]) == [False, True]


@pytest.mark.parametrize(("aside", "expected"), [(0.0, True), (0.14, True), (0.15, False)])
def test_vectors_are_the_same_from_a_cosine_of_099_on(aside: float, expected: bool) -> None:
    first, second = np.asarray([1.0, 0.0], np.float32), np.asarray([1.0, aside], np.float32)

    assert same([first], [second]) == [expected]
    assert same([np.stack([first, first])], [np.stack([second, second])]) == [expected]  # a pair


def test_a_vector_of_zeros_is_like_itself_only() -> None:
    zero, one = np.zeros(2, np.float32), np.ones(2, np.float32)

    assert same([zero, zero, one], [zero, one, zero]) == [True, False, False]


@given(NUMBERS)
def test_a_model_answers_as_itself(numbers: list[float]) -> None:
    assert all(same([*numbers], [*numbers]))
    vectors: list[object] = [np.asarray([number, 1.0], np.float32) for number in numbers]
    assert all(same(vectors, vectors))
