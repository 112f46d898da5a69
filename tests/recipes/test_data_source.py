"""Which examples a step gets, and how the data is written into recipes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.errors import UsageError
from bertcompress.recipes.data_source import (
    DataSource,
    portable,
    resolved,
    source_from_plain,
)
from bertcompress.recipes.resources import Splits

TASK = "text-classification"


def splits(**keys: object) -> Splits:
    return Splits(source_from_plain(keys, Path(), "data"), task=TASK)


def test_a_class_folder_is_partitioned_too(tmp_path: Path) -> None:
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
        for at in range(20):
            (tmp_path / name / f"{at}.txt").write_text(f"{name} film {at}")
    found = splits(source=str(tmp_path))

    assert not set(found.train) & set(found.test)


def test_files_for_each_role_are_taken_whole_but_for_one_text_in_ten(
    tmp_path: Path, write_csv: Callable[..., Path]
) -> None:
    one, other = write_csv(tmp_path / "a.csv", 20), write_csv(tmp_path / "b.csv", 7)
    found = splits(train=str(one), test=str(other))

    assert (len(found.train), len(found.validation), len(found.test)) == (18, 2, 7)
    assert (found.examples, found.held_out) == (found.train, found.validation)
    assert not {row.id for row in found.train} & {row.id for row in found.validation}


def test_a_file_named_for_a_split_is_that_split(
    tmp_path: Path, write_csv: Callable[..., Path]
) -> None:
    train, test = (write_csv(tmp_path / f"{name}.csv", 20) for name in ("train", "test"))

    assert len(splits(source=str(train)).train) + len(splits(source=str(train)).validation) == 20
    assert len(splits(source=str(test)).test) == 20


def test_what_is_written_is_read_back(here: Path) -> None:
    (here / "all.csv").write_text("x")
    source = DataSource(source="all.csv", text="said", label_map={"0": "no"}, limit=3)
    (here / "out").mkdir()

    plain = source.to_plain(Path("out"))

    assert isinstance(plain, dict)
    assert plain["source"] == "../all.csv"
    assert source_from_plain(plain, Path("out"), "data") == source
    assert DataSource(source="hf:a/b").to_plain(Path("out")) == "hf:a/b"


def test_hub_names_and_absolute_paths_stay(here: Path) -> None:
    assert resolved("owner/model", Path("deep")) == "owner/model"
    assert resolved("/data/x.csv", Path("deep")) == "/data/x.csv"
    assert resolved("x.csv", Path("deep")) == "deep/x.csv"
    assert portable("/data/x.csv", Path("deep")) == "/data/x.csv"
    assert portable("owner/model", Path("deep")) == "owner/model"


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        (3, "must be a path or a mapping"),
        ({"lable": "x"}, "did you mean 'label'?"),
        ({"text": 3}, "data.text must be a text, got 3"),
        ({"limit": "all"}, "data.limit must be a whole number"),
        ({"label_map": "a=b"}, "data.label_map must be a mapping"),
    ],
)
def test_wrong_data_in_a_recipe_is_named(plain: object, said: str) -> None:
    with pytest.raises(UsageError) as failure:
        source_from_plain(plain, Path(), "data")

    assert said in str(failure.value)


def test_a_folder_of_training_data_is_judged_by_what_is_left_out_of_it(
    tmp_path: Path, write_csv: Callable[..., Path]
) -> None:
    write_csv(tmp_path / "train.csv", 60)
    found = splits(source=str(tmp_path))

    assert found.test.examples == found.validation
    assert not {row.id for row in found.train} & {row.id for row in found.test}
