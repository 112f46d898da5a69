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
        tuple(TextExample(f"{name}:{at}", f"text {at}", label="ab"[at % 2]) for at in range(count))
    )


def source(**counts: int) -> SplitSource:
    return SplitSource(
        "data", {name: functools.partial(reading, name, count) for name, count in counts.items()}
    )


def ids(found: SplitSource, split: str | None) -> set[str]:
    return {example.id for example in read_split(found, split)[1].examples}


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
    assert read_split(source(**counts), None)[0] == expected


@pytest.mark.parametrize("asked", ["dev", "VAL", "valid", "testa", "validation"])
def test_usual_words_for_a_split(asked: str) -> None:
    assert read_split(source(train=9, validation=5), asked)[0] == "validation"
    assert split_named("unsupervised") is None


def test_missing_validation_is_made_of_train() -> None:
    found = source(train=1000, test=4)

    name, part = read_split(found, "validation")

    assert name == "validation"
    assert 80 <= len(part.examples) <= 120
    assert part.notes == (
        "data has no validation split: its train split was partitioned 90/10 into "
        f"train/validation by their texts; validation is {len(part.examples)} of 1,000",
    )
    assert ids(found, "train") == {f"train:{at}" for at in range(1000)} - ids(found, "validation")


def test_train_is_whole_where_validation_is_there() -> None:
    name, whole = read_split(source(train=100, validation=4), "train")

    assert (name, len(whole.examples), whole.notes) == ("train", 100, ())


def test_a_single_file_is_partitioned() -> None:
    found = source(all=1000)

    parts = [ids(found, split) for split in ("train", "validation", "test")]

    assert sum(map(len, parts)) == len(set.union(*parts)) == 1000
    assert 80 <= len(parts[1]) <= 120
    assert 80 <= len(parts[2]) <= 120
    assert "partitioned 80/10/10" in read_split(found, "test")[1].notes[0]


def test_validation_is_the_same_with_test_data_and_without() -> None:
    whole, split_before = ids(source(all=200), "validation"), ids(source(train=200), "validation")

    assert {name.partition(":")[2] for name in whole} == {
        name.partition(":")[2] for name in split_before
    }


@pytest.mark.parametrize(
    ("counts", "asked", "sentence"),
    [
        ({"train": 9}, "test", "split 'test' of data was asked, found train; type --split"),
        ({"train": 9, "test": 4}, "tset", "found train, test; .*did you mean 'test'"),
        ({"train": 9, "test": 4}, "all", "split 'all' of data was asked, found train, test"),
        ({"all": 9}, "extra", "split 'extra' of data was asked, found all"),
        ({"train": 9, "validation_matched": 4}, "validation", "found train, validation_matched"),
        ({"train": 9, "extra": 4}, None, "has the splits train, extra; type --split with the one"),
        (
            {"all": 2},
            "test",
            "has 2 examples, too few different ones to make train, validation, test of them",
        ),
    ],
)
def test_a_split_that_is_not_there_lists_the_others(
    counts: dict[str, int], asked: str | None, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        read_split(source(**counts), asked)
