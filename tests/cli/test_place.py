"""What was typed about the data, beside what the workspace says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.errors import UsageError
from bertcompress.recipes.data_source import DataSource
from bertcompress_cli.options import DataOptions
from bertcompress_cli.place import source_from_options


def test_options_add_to_the_workspaces_data_or_replace_it() -> None:
    default = DataSource(source="w.csv", text="said")

    kept = source_from_options(DataOptions(limit=3), default)
    replaced = source_from_options(DataOptions(data="o.csv", label_map="a=b, c=d"), default)

    assert kept == DataSource(source="w.csv", text="said", limit=3)
    assert replaced == DataSource(source="o.csv", label_map={"a": "b", "c": "d"})
    assert source_from_options(DataOptions(), None) is None
    with pytest.raises(UsageError, match="without --data"):
        source_from_options(DataOptions(limit=3), None)


@pytest.mark.parametrize(
    ("text", "code"), [("", 2), ("modell: x\n", 2), ("model: x\nsede: 1\n", 2), ("model: [\n", 1)]
)
def test_a_damaged_workspace_file_is_one_sentence(
    fails: Callable[..., str], here: Path, text: str, code: int
) -> None:
    (here / "bertcompress.yaml").write_text(text)

    assert "bertcompress.yaml" in fails(code, "prune", "--heads", "0.3")
