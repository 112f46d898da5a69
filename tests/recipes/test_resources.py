"""Each role has its examples, read when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.errors import UsageError
from bertcompress.examples import TextExample
from bertcompress.recipes.data_source import (
    source_from_plain,
)
from bertcompress.recipes.resources import RecipeContext, Splits

TASK = "text-classification"


def splits(**keys: object) -> Splits:
    return Splits(source_from_plain(keys, Path(), "data"), task=TASK)


def test_a_folder_gives_each_role_its_split(data: Path) -> None:
    found = splits(source=str(data))

    assert (len(found.train), len(found.validation), len(found.test)) == (24, 10, 12)
    assert found.examples == found.train


def test_a_single_file_is_partitioned_so_that_no_role_shares_an_example(
    tmp_path: Path, write_csv: Callable[..., Path]
) -> None:
    found = splits(source=str(write_csv(tmp_path / "all.csv", 100)))

    parts = [set(found.train), set(found.validation), set(found.test)]
    assert [len(part) for part in parts] == [80, 10, 10]
    assert len(set.union(*parts)) == 100


def test_a_split_and_a_limit_are_obeyed(data: Path) -> None:
    found = splits(source=str(data), split="validation", limit=4)

    assert len(found.train) == len(found.test) == 4
    assert found.validation == ()


def test_without_data_there_are_no_examples_and_no_training() -> None:
    found = Splits(None, task=TASK)

    assert found.examples == ()
    with pytest.raises(UsageError, match="--data"):
        _ = found.train


def test_a_context_takes_what_is_given_before_what_could_be_read(data: Path) -> None:
    mine = (TextExample("mine", "a film", label="positive"),)
    from_source = splits(source=str(data))

    context = RecipeContext(from_source, train=mine, held_out=mine)

    assert context.train == mine
    assert context.examples == from_source.examples
    assert context.split == "train"
    assert context.validation == from_source.validation
    assert RecipeContext(mine).examples == mine


def test_asking_whether_there_are_examples_reads_none(tmp_path: Path) -> None:
    nowhere = splits(source=str(tmp_path / "nowhere.csv"))

    context = RecipeContext(nowhere)

    assert context.has_examples
    assert context.has_train
    assert not RecipeContext().has_examples
    assert not RecipeContext().has_train


def test_files_that_say_only_the_training_leave_nothing_to_hold_out(
    tmp_path: Path, write_csv: Callable[..., Path]
) -> None:
    train = write_csv(tmp_path / "train.csv", 20)

    assert splits(source=str(train)).held_out == ()
    assert splits(train=str(train)).held_out == ()
    assert len(splits(source=str(write_csv(tmp_path / "all.csv", 20))).held_out) == 2
