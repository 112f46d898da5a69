"""A new head for new labels, and what has to be said first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Ok = Callable[..., str]


def test_a_new_head_learns_the_datas_labels(
    ok: Ok, here: Path, tiny_folder: Callable[..., Path], write_csv: Callable[..., Path]
) -> None:
    stars = write_csv(here / "stars.csv", 40, labels=("one", "two", "three"))
    encoder = tiny_folder(task="feature-extraction")

    ok(*("finetune", encoder, "--task", "text-classification", "--data", stars, "-o", "new"))

    assert json.loads(ok("show", "new", "--json"))["labels"] == ["one", "three", "two"]
    assert sorted(path.name for path in here.iterdir()) == ["new", "stars.csv"]


def test_finetune_needs_data_and_a_checkpoint(fails: Ok, ok: Ok, here: Path, model: Path) -> None:
    ok("export", model, "-o", "graph")

    assert "finetune needs data; type: bertcompress finetune" in fails(
        2, "finetune", model, "-o", "new"
    )
    sentence = fails(2, "finetune", "graph", "--data", model, "-o", "new")
    assert "fine-tuning needs the checkpoint" in sentence
