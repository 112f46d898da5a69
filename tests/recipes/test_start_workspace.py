"""A workspace is begun when the model and the data fit each other, and only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.errors import DataError, UsageError
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.start_workspace import start_workspace
from bertcompress.workspace import find_workspace


def test_it_says_what_it_found(tmp_path: Path, model: Path, data: Path) -> None:
    started = start_workspace(tmp_path, str(model), data=DataSource(source=str(data)), seed=3)

    assert (started.task, started.training_examples) == ("text-classification", 24)
    workspace = find_workspace(tmp_path)
    assert workspace is not None
    assert (workspace.model, workspace.data, workspace.seed) == (str(model), str(data), 3)


def test_without_data_nothing_is_counted(tmp_path: Path, model: Path) -> None:
    started = start_workspace(tmp_path, str(model))

    assert started.training_examples is None
    assert started.workspace == tmp_path / "bertcompress.yaml"


def test_labels_of_another_model_are_refused(
    tmp_path: Path, model: Path, write_csv: Callable[..., Path]
) -> None:
    stars = write_csv(tmp_path / "stars.csv", 10, labels=("one", "two"))

    with pytest.raises(DataError, match="negative, positive"):
        start_workspace(tmp_path, str(model), data=DataSource(source=str(stars)))
    assert find_workspace(tmp_path) is None


def test_a_workspace_that_is_there_stays(tmp_path: Path, model: Path) -> None:
    start_workspace(tmp_path, str(model), seed=1)

    with pytest.raises(UsageError, match="is there already; change it, or take another folder"):
        start_workspace(tmp_path, str(model), seed=2)
    workspace = find_workspace(tmp_path)
    assert workspace is not None
    assert workspace.seed == 1
