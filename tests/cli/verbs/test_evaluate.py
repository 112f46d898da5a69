"""Metrics of a model on data, by split, limit and label map."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Ok = Callable[..., str]


def test_evaluate_prints_the_metrics_of_the_test_split(ok: Ok, model: Path, data: Path) -> None:
    found = json.loads(ok("evaluate", model, "--data", data, "--json"))

    assert found["count"] == 12
    assert found["split"] == "test"
    assert found["metric"] == "accuracy"
    assert found["value"] == found["values"]["accuracy"]
    assert found["runtime"] == "torch-cpu"
    assert "accuracy" in ok("evaluate", model, "--data", data)


def test_a_single_file_is_evaluated_whole_and_partitioned_for_pruning(
    ok: Ok, here: Path, model: Path, write_csv: Callable[..., Path]
) -> None:
    from bertcompress.artifacts.artifact import read_manifest

    file = write_csv(here / "all.csv", 50)

    assert json.loads(ok("evaluate", model, "--data", file, "--json"))["count"] == 50
    ok("prune", model, "--heads", "0.3", "--data", file, "-o", "small")
    manifest = read_manifest(here / "small")
    assert manifest is not None
    assert str(manifest.history[0].data["examples"]).startswith("36 examples")


def test_splits_limits_and_label_maps_are_obeyed(
    ok: Ok, here: Path, model: Path, data: Path, write_csv: Callable[..., Path]
) -> None:
    numbers = write_csv(here / "test.csv", 20, labels=("0", "1"))
    renamed = ("--label-map", "0=negative,1=positive")

    split = ("--split", "validation", "--limit", "4")
    assert json.loads(ok("evaluate", model, "--data", data, *split, "--json"))["count"] == 4
    found = json.loads(ok("evaluate", model, "--data", numbers, *renamed, "--json"))
    assert found["count"] == 20


def test_embeddings_are_compared_with_the_original(
    ok: Ok, tiny_folder: Callable[..., Path], data: Path
) -> None:
    model = tiny_folder(task="feature-extraction")

    line = ("evaluate", model, "--reference", model, "--data", data, "--json")
    assert json.loads(ok(*line))["values"]["cosine_to_reference"] == pytest.approx(1.0)
