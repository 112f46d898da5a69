"""Recipes that version 0.1.0 wrote or had in its suites: they are read, planned and written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import transformers

from bertcompress.recipes.recipe_file import read_recipe, recipe_text
from bertcompress.recipes.run_recipe import plan
from bertcompress.recipes.step_settings import STEPS

RECIPES = sorted(Path(__file__).with_name("recipes_of_0_1").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_read_and_written_the_same(
    path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BERTCOMPRESS_SHARED", "/shared")
    recipe = read_recipe(path)

    (here / "again.yaml").write_text(recipe_text(recipe, Path()), encoding="utf-8")

    assert replace(read_recipe(Path("again.yaml")), name=recipe.name) == recipe


def test_every_step_of_then_is_among_them() -> None:
    recipes = [path.read_text(encoding="utf-8") for path in RECIPES if "every" in path.name]
    recipes += [path.read_text(encoding="utf-8") for path in RECIPES if "trained" in path.name]
    written = {name for name in STEPS for text in recipes if f"- {name}:" in text}
    assert written == {*STEPS} - {"prune-to-target"}


@pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)
@pytest.mark.parametrize("name", ["every_step", "trained_first"])
def test_a_recipe_is_planned(name: str, here: Path, model: Path, data: Path) -> None:
    [path] = [path for path in RECIPES if path.stem == name]
    (here / "model").symlink_to(model)
    (here / "data").symlink_to(data)
    (here / "table.safetensors").touch()
    (here / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")

    planned = plan(read_recipe(Path(path.name)))

    steps = {variant: [step.name for step in steps] for variant, steps in planned.items()}
    if name == "trained_first":
        assert steps == {"small": ["Finetune", "PruneHeads"]}
        return
    assert steps["as it is"] == ["ExportOnnx"]
    assert steps["in rounds"] == ["PruneToTarget", "Recover"] * 2 + ["ExportOnnx"]
    assert steps["static"] == [
        "ExportOnnx",
        "SmoothActivations",
        "QuantizeStatic",
        "WriteOrtFormat",
    ]
    assert steps["for GPUs"] == ["ExportOnnx", "QuantizeTensorrt", "BuildEngine"]
    assert not any(step.finished for steps in planned.values() for step in steps)
