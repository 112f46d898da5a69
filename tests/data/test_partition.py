"""Parts and samples."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.data import partition, sample
from bertcompress.data.partition import content_key, hold_out, is_stratified
from bertcompress.errors import UsageError
from bertcompress.examples import Example, QuestionExample, TextExample, TokenExample

LABELS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=120)
SEEDS = st.integers(0, 5)
EXPECTED = {"validation": [16], "test": [11, 17, 19]}
FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def rows(labels: list[str | None]) -> list[TextExample]:
    return [TextExample(str(at), f"text {at}", label=label) for at, label in enumerate(labels)]


def positions(examples: tuple[TextExample, ...]) -> list[int]:
    return [int(example.id) for example in examples]


@given(LABELS.filter(lambda labels: len(labels) > 2))
def test_parts_are_disjoint_complete_and_in_order(labels: list[str | None]) -> None:
    parts = partition(rows(labels), FRACTIONS)

    assert list(parts) == list(FRACTIONS)
    assert sorted(at for part in parts.values() for at in positions(part)) == [*range(len(labels))]
    for part in parts.values():
        assert part
        assert positions(part) == sorted(positions(part))


def test_parts_are_about_as_large_as_asked() -> None:
    parts = partition(rows([None] * 2000), FRACTIONS)

    assert 160 <= len(parts["test"]) <= 240
    assert 160 <= len(parts["validation"]) <= 240


@given(st.permutations(range(40)), st.lists(st.sampled_from("abc"), min_size=40, max_size=40))
def test_order_labels_and_other_rows_have_no_say(order: list[int], labels: list[str]) -> None:
    mixed = [TextExample(str(at), f"text {at}", label=labels[at]) for at in order]

    for name, part in partition(rows([None] * 60), FRACTIONS).items():
        again = partition(mixed, FRACTIONS)[name]
        assert {example.id for example in again} == {
            example.id for example in part if int(example.id) < 40
        }


def test_a_text_stands_on_one_side_however_it_is_written() -> None:
    texts = [f"A {at} good film" for at in range(30)]
    other = [f" a\u00a0{at}  GOOD film\n" for at in range(30)]
    examples = [TextExample(str(at), text) for at, text in enumerate([*texts, *other])]

    for part in (*partition(examples, FRACTIONS).values(), *hold_out(examples)):
        ids = {int(example.id) % 30 for example in part}
        assert len(part) == 2 * len(ids)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (TextExample("1", "Mira sings ."), TokenExample("2", ("Mira", "sings", "."), ("O",) * 3)),
        (TextExample("1", "a", "b", label="x"), TextExample("2", "b", "a", label=0.5)),
        (TextExample("1", "Where?", "In Oster."), QuestionExample("2", "Where?", "In Oster.")),
    ],
)
def test_a_task_has_no_say(first: Example, second: Example) -> None:
    assert content_key(first) == content_key(second)


def test_the_parts_are_the_same_on_every_machine() -> None:
    parts = partition(rows([None] * 20), FRACTIONS)

    assert {name: positions(part) for name, part in parts.items() if name != "train"} == EXPECTED


def test_a_smaller_share_is_contained_in_a_larger() -> None:
    examples = rows([None] * 500)

    (_, tenth), (_, fourth) = hold_out(examples), hold_out(examples, one_in=4)

    assert set(positions(tenth)) < set(positions(fourth))
    assert 30 <= len(tenth) <= 70


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_held_out_of_one_text(count: int) -> None:
    assert hold_out(rows([None] * count)) == (tuple(rows([None] * count)), ())


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
        partition(rows(["a"] * 9), fractions)


def test_too_few_examples_are_refused() -> None:
    with pytest.raises(UsageError, match="3 parts were asked of 2 different examples"):
        partition(rows(["a", "b"]), FRACTIONS)
