"""Folders that version 0.1.0 wrote before a step knew its data: they load and answer the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.manifest import read_manifest, verify
from bertcompress.bert.loading.load import load
from bertcompress.recipes.recipe_file import read_recipe

FOLDERS = Path(__file__).with_name("folders_of_0_1")
NAMES = ("pruned", "int8", "rejected", "int4")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_is_whole_and_its_recipe_is_read(name: str) -> None:
    manifest = read_manifest(FOLDERS / name)

    assert manifest is not None
    verify(FOLDERS / name, manifest)
    assert len(read_recipe(FOLDERS / name).variants) == 1
    assert all(dict(step.data) == {} for step in manifest.history)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_answers_the_same(name: str, ok: Callable[..., str]) -> None:
    expected = [
        json.loads(line)
        for line in (FOLDERS / f"{name}.answers.jsonl").read_text(encoding="utf-8").splitlines()
    ]

    texts = ("the film is good", "anna lives in berlin", "not bad")
    answers = [json.loads(line) for line in ok("predict", FOLDERS / name, *texts).splitlines()]

    assert [answer["label"] for answer in answers] == [answer["label"] for answer in expected]
    for answer, before in zip(answers, expected, strict=True):
        # Kernels of another machine may round INT8 another way.
        tolerance = 1e-5 if name == "pruned" else 0.02
        assert answer["scores"] == pytest.approx(before["scores"], abs=tolerance)


def test_what_its_steps_found_is_under_the_names_of_today() -> None:
    histories = {name: load(FOLDERS / name).history for name in NAMES}

    assert [step.name for step in histories["int4"]] == ["Prune", "ExportOnnx", "QuantizeWeights"]
    assert "divergence_of_answers" in histories["int4"][-1].details
    tried = histories["int8"][-1].details["ways_tried"]
    assert isinstance(tried, list)
    assert [row["way"] for row in tried] == ["static", "smoothed", "dynamic", "blocks", "nncf"]
    rejected = histories["rejected"][-1]
    assert "prune first, or allow more" in str(rejected.rejected)
    assert rejected.details["rejected_for"] == "speed"
