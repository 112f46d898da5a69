"""Parts and samples."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.data import partition, sample
from bertcompress.data.partition import is_stratified
from bertcompress.errors import UsageError
from bertcompress.examples import TextExample, TokenExample

LABELS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=120)
SEEDS = st.integers(0, 5)
FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def rows(labels: list[str | None]) -> list[TextExample]:
    return [TextExample(str(at), "x", label=label) for at, label in enumerate(labels)]


def positions(examples: tuple[TextExample, ...]) -> list[int]:
    return [int(example.id) for example in examples]


@given(LABELS.filter(lambda labels: len(labels) > 2), SEEDS)
def test_parts_are_disjoint_complete_and_in_order(labels: list[str | None], seed: int) -> None:
    parts = partition(rows(labels), FRACTIONS, seed=seed)

    assert list(parts) == list(FRACTIONS)
    assert sorted(at for part in parts.values() for at in positions(part)) == [*range(len(labels))]
    for part in parts.values():
        assert part
        assert positions(part) == sorted(positions(part))


@given(st.integers(3, 500), SEEDS)
def test_parts_have_the_asked_sizes(count: int, seed: int) -> None:
    parts = partition(rows([None] * count), FRACTIONS, seed=seed)

    assert len(parts["test"]) == len(parts["validation"]) == max(1, round(count / 10))


@given(LABELS, SEEDS, st.integers(1, 130))
def test_a_sample_is_of_the_asked_size_and_in_order(
    labels: list[str | None], seed: int, limit: int
) -> None:
    drawn = positions(sample(rows(labels), limit, seed=seed))

    assert len(drawn) == min(limit, len(labels))
    assert drawn == sorted(set(drawn))


@given(LABELS, SEEDS, st.integers(1, 60))
def test_a_smaller_sample_is_contained_in_a_larger(
    labels: list[str | None], seed: int, limit: int
) -> None:
    smaller = sample(rows(labels), limit, seed=seed)

    assert set(positions(smaller)) <= set(positions(sample(rows(labels), 2 * limit, seed=seed)))


@given(LABELS, SEEDS, st.integers(1, 120))
def test_a_sample_holds_each_class_in_its_proportion(
    labels: list[str | None], seed: int, limit: int
) -> None:
    drawn = Counter(example.label for example in sample(rows(labels), limit, seed=seed))

    share = min(limit, len(labels)) / len(labels)
    classes = Counter(labels)
    for label, count in classes.items():
        # One for the class's own rounding, and its share of all the classes' rounding.
        slack = 1 + count * len(classes) / len(labels)
        assert abs(drawn[label] - count * share) <= slack


@given(LABELS, SEEDS)
def test_the_same_seed_draws_the_same(labels: list[str | None], seed: int) -> None:
    assert sample(rows(labels), 9, seed=seed) == sample(rows(labels), 9, seed=seed)


def test_another_seed_draws_another_sample() -> None:
    examples = rows(["a", "b"] * 100)

    assert sample(examples, 20, seed=0) != sample(examples, 20, seed=1)


def test_the_draw_is_the_same_on_every_machine() -> None:
    assert positions(sample(rows(["a", "b", "a", "a", "b", "a"] * 3), 5, seed=0)) == [
        6,
        7,
        8,
        15,
        17,
    ]


def test_words_are_not_stratified() -> None:
    assert not is_stratified([TokenExample("1", ("a",), ("O",))])
    assert is_stratified(rows(["a"]))


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(UsageError, match=f"limit must be 1 or more, got {limit}; leave it out"):
        sample(rows(["a"]), limit, seed=0)


@pytest.mark.parametrize("fractions", [{"a": 0.5, "b": 0.4}, {"a": 1.0, "b": 0.0}])
def test_fractions_must_sum_to_one(fractions: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="fractions must be positive and sum to 1"):
        partition(rows(["a"] * 9), fractions, seed=0)


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(UsageError, match="3 parts were asked of 2 examples"):
        partition(rows(["a", "b"]), FRACTIONS, seed=0)
