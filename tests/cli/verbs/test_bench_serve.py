"""``bench-serve`` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Ok = Callable[..., str]
Fails = Callable[..., str]


def test_it_prints_what_each_load_gave(
    ok: Ok, graph_folder: Callable[..., Path], tmp_path: Path
) -> None:
    data = tmp_path / "texts.csv"
    data.write_text("text\ngood film\na bad film\n")
    words = ["bench-serve", graph_folder(), "--data", data, "--seconds", "0.3"]
    words += ["--clients", "1,2", "--shares", "0.5", "--engines", "inline"]
    assert "2 clients" in ok(*words)
    rows = json.loads(ok(*words, "--json"))["rows"]
    assert [row["clients"] for row in rows] == [1, 2, None]


def test_numbers_that_are_none(fails: Fails, graph_folder: Callable[..., Path]) -> None:
    for option in ("--clients", "--shares"):
        words = ("bench-serve", graph_folder(), "--data", "x.csv", option, "many")
        assert option in fails(2, *words)
