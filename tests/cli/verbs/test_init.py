"""A workspace is made whole or not at all, and its columns are used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Ok = Callable[..., str]


def test_init_writes_nothing_when_the_model_or_the_data_is_wrong(
    fails: Ok, here: Path, model: Path, data: Path, write_csv: Callable[..., Path]
) -> None:
    other = write_csv(here.parent / "stars.csv", 10, labels=("one", "two"))

    fails(1, "init", "--model", here.parent / "none", "--data", data)
    fails(1, "init", "--model", model, "--data", here.parent / "none.csv")
    sentence = fails(1, "init", "--model", model, "--data", other)

    assert "one, two" in sentence
    assert "negative, positive" in sentence
    assert not any(here.iterdir())


def test_init_keeps_a_workspace_that_is_there(fails: Ok, workspace: Path, model: Path) -> None:
    before = (workspace / "bertcompress.yaml").read_text()

    assert "is there already" in fails(2, "init", "--model", model)
    assert (workspace / "bertcompress.yaml").read_text() == before


def test_columns_given_to_init_are_used_by_the_verbs(ok: Ok, here: Path, model: Path) -> None:
    rows = [f"film {at},{('good', 'bad')[at % 2]},negative" for at in range(20)]
    (here / "odd.csv").write_text("\n".join(["said,word,mood", *rows]))
    columns = ("--text-column", "said", "--label-column", "mood")

    ok("init", "--model", model, "--data", "odd.csv", *columns)

    assert ok("prune", "--heads", "0.3") == "artifacts/001-prune"
