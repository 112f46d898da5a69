"""Which split is meant."""

from __future__ import annotations

import functools

import pytest

from bertcompress.data.split_source import SplitSource, read_split, split_named
from bertcompress.data.table import Reading
from bertcompress.errors import DataError
from bertcompress.examples import TextExample


def reading(name: str, count: int) -> Reading:
    return Reading(
        tuple(TextExample(f"{name}:{at}", "x", label="ab"[at % 2]) for at in range(count))
    )


def source(**counts: int) -> SplitSource:
    return SplitSource(
        "data", {name: functools.partial(reading, name, count) for name, count in counts.items()}
    )


def ids(found: SplitSource, split: str | None) -> set[str]:
    return {example.id for example in read_split(found, split, seed=0)[1].examples}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"train": 20, "validation": 5, "test": 4}, "test"),
        ({"train": 20, "validation": 5}, "validation"),
        ({"train": 20}, "train"),
        ({"all": 7}, "all"),
    ],
)
def test_no_split_means_the_best_for_measuring(counts: dict[str, int], expected: str) -> None:
    assert read_split(source(**counts), None, seed=0)[0] == expected


@pytest.mark.parametrize("asked", ["dev", "VAL", "valid", "testa", "validation"])
def test_usual_words_for_a_split(asked: str) -> None:
    assert read_split(source(train=9, validation=5), asked, seed=0)[0] == "validation"
    assert split_named("unsupervised") is None


def test_missing_validation_is_made_of_train() -> None:
    found = source(train=100, test=4)

    name, made = read_split(found, "validation", seed=0)

    assert name == "validation"
    assert len(made.examples) == 10
    assert [example.label for example in made.examples if isinstance(example, TextExample)].count(
        "a"
    ) == 5
    assert made.notes == (
        "data has no validation split: its train split was partitioned 90/10 into "
        "train/validation with seed 0; validation is 10 of 100",
    )


def test_train_is_then_the_rest() -> None:
    found = source(train=100, test=4)

    train, validation = ids(found, "train"), ids(found, "validation")

    assert len(train) == 90
    assert not train & validation


def test_train_is_whole_where_validation_is_there() -> None:
    name, whole = read_split(source(train=100, validation=4), "train", seed=0)

    assert (name, len(whole.examples), whole.notes) == ("train", 100, ())


def test_a_single_file_is_partitioned() -> None:
    found = source(all=50)

    parts = [ids(found, split) for split in ("train", "validation", "test")]

    assert [len(part) for part in parts] == [40, 5, 5]
    assert len(set.union(*parts)) == 50
    assert "partitioned 80/10/10" in read_split(found, "test", seed=0)[1].notes[0]


def test_another_seed_makes_other_parts() -> None:
    found = source(all=50)

    assert read_split(found, "test", seed=0)[1] != read_split(found, "test", seed=1)[1]


@pytest.mark.parametrize(
    ("counts", "asked", "sentence"),
    [
        ({"train": 9}, "test", "split 'test' of data was asked, found train; type --split"),
        ({"train": 9, "test": 4}, "tset", "found train, test; .*did you mean 'test'"),
        ({"train": 9, "test": 4}, "all", "split 'all' of data was asked, found train, test"),
        ({"all": 9}, "extra", "split 'extra' of data was asked, found all"),
        ({"train": 9, "validation_matched": 4}, "validation", "found train, validation_matched"),
        ({"train": 9, "extra": 4}, None, "has the splits train, extra; type --split with the one"),
        ({"all": 2}, "test", "has 2 examples, too few to make train, validation, test of them"),
    ],
)
def test_a_split_that_is_not_there_lists_the_others(
    counts: dict[str, int], asked: str | None, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        read_split(source(**counts), asked, seed=0)
