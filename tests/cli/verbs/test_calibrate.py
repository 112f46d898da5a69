"""Ranges measured once: stable or not, decided again, and used by quantize."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

Ok = Callable[..., str]


def test_a_saved_table_gives_the_same_graph(ok: Ok, fails: Ok, here: Path, workspace: Path) -> None:
    ok("export")
    table = ok("calibrate", "-o", "table.safetensors", "--samples", "10")
    ok("quantize", "artifacts/001-export", "--table", table, "-o", "from-table")
    ok(
        "quantize",
        "artifacts/001-export",
        "--method",
        "static",
        "--samples",
        "10",
        "-o",
        "from-data",
    )

    graphs = [
        (here / name / "onnx/model.onnx").read_bytes() for name in ("from-table", "from-data")
    ]
    assert graphs[0] == graphs[1]
    other = fails(1, "quantize", "--table", "none.safetensors", "-o", "x")
    assert "none.safetensors" in other


def test_calibrate_says_how_stable_the_ranges_are(ok: Ok, fails: Ok, workspace: Path) -> None:
    ok("export")
    line = ("calibrate", "artifacts/001-export", "--samples", "10")
    found = json.loads(ok(*line, "--seeds", "3", "-o", "t.safetensors", "--json"))

    assert (found["samples"], found["split"], found["method"]) == (10, "train", "percentile")
    assert found["stability"]["seeds"] == [0, 1, 2]
    changes = found["stability"]["changes"]
    assert changes[found["stability"]["least_stable"]] == found["stability"]["largest_change"]
    assert len(changes) == found["tensors"] < found["modules"]
    assert "test split" in fails(2, *line, "--split", "test")
    assert "test split" in fails(2, "quantize", line[1], "--split", "test", "-o", "x")


def test_a_table_is_decided_again_without_model_and_data(
    ok: Ok, fails: Ok, here: Path, workspace: Path
) -> None:
    ok("export")
    ok("calibrate", "artifacts/001-export", "--samples", "10", "-o", "one.safetensors")
    again = ("--table", "one.safetensors", "--method", "mse", "-o", "again.safetensors")
    ok("calibrate", *again)
    measured = ("artifacts/001-export", "--samples", "10", "--method", "mse")
    ok("calibrate", *measured, "-o", "two.safetensors")

    files = [(here / f"{name}.safetensors").read_bytes() for name in ("again", "two")]
    assert files[0] == files[1]
    assert "leave all but --method" in fails(2, "calibrate", *again, "--samples", "5")


def test_random_words_are_taken_only_by_name(ok: Ok, fails: Ok, here: Path, model: Path) -> None:
    line = ("calibrate", model, "--samples", "6", "-o", "t.safetensors", "--json")

    assert "needs data" in fails(2, *line)
    assert json.loads(ok(*line, "--random"))["split"] == "random"
    assert "--random takes no data" in fails(2, *line, "--random", "--data", "x.csv")
