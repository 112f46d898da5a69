"""Whole recipes: shared steps run once, finished ones are found, each verb's recipe repeats it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bertcompress.artifacts.artifact import Checkpoint, read_manifest
from bertcompress.passes.context import Context
from bertcompress.passes.prune.prune_units import PruneHeads, UnitsDetails

Ok = Callable[..., str]
WriteRecipe = Callable[..., Path]

PRUNED = "pruned: [ {prune-heads: {fraction: 0.25}} ]"
PRUNED_INT8 = "pruned + INT8: [ {prune-heads: {fraction: 0.25}}, quantize-dynamic ]"


def weights_of(folder: Path) -> dict[str, str]:
    manifest = read_manifest(folder)
    assert manifest is not None
    kept = (".safetensors", ".onnx")
    return {name: digest for name, digest in manifest.files.items() if name.endswith(kept)}


@pytest.fixture
def pruned_times(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collects a fraction each time that heads are pruned."""
    calls: list[float] = []
    prune = PruneHeads.apply

    def counted(
        self: PruneHeads, checkpoint: Checkpoint, context: Context
    ) -> tuple[Checkpoint, UnitsDetails]:
        calls.append(self.fraction)
        return prune(self, checkpoint, context)

    monkeypatch.setattr(PruneHeads, "apply", counted)
    return calls


@pytest.mark.slow
def test_variants_are_made_measured_and_compared(
    ok: Ok, here: Path, quick_recipe: WriteRecipe, pruned_times: list[float]
) -> None:
    recipe = quick_recipe("FP32: []", PRUNED, PRUNED_INT8)

    found = json.loads(ok("run", recipe, "-o", "out", "--json"))

    assert [row["name"] for row in found["variants"]] == ["FP32", "pruned", "pruned + INT8"]
    assert pruned_times == [0.25]  # once for two variants
    for folder in ("fp32", "pruned", "pruned-int8"):
        assert (here / "out" / folder / "onnx/model.onnx").is_file()
    assert Path(found["report"]) == Path("out/report/report.html")
    assert not (here / "out/report/.state").exists()


def test_a_second_run_repeats_no_step(
    ok: Ok, here: Path, quick_recipe: WriteRecipe, pruned_times: list[float]
) -> None:
    recipe = quick_recipe(PRUNED, bench="false")
    ok("run", recipe, "-o", "out")
    first = weights_of(here / "out/pruned")

    ok("run", recipe, "-o", "out")

    assert pruned_times == [0.25]
    assert weights_of(here / "out/pruned") == first


def test_the_plan_says_what_is_finished(ok: Ok, here: Path, quick_recipe: WriteRecipe) -> None:
    recipe = quick_recipe(PRUNED, "more: [ {prune-heads: {fraction: 0.5}} ]", bench="false")

    def states() -> dict[str, list[bool]]:
        plan = json.loads(ok("run", recipe, "-o", "out", "--dry-run", "--json"))["variants"]
        return {name: [step["finished"] for step in steps] for name, steps in plan.items()}

    assert states() == {"pruned": [False], "more": [False]}
    assert not (here / "out").exists()
    ok("run", quick_recipe(PRUNED, bench="false"), "-o", "out")
    quick_recipe(PRUNED, "more: [ {prune-heads: {fraction: 0.5}} ]", bench="false")
    assert states() == {"pruned": [True], "more": [False]}
    assert "PruneHeads" in ok("run", recipe, "-o", "out", "--dry-run")


@pytest.mark.slow
def test_a_broken_gate_is_told_after_the_report(
    fails: Ok, here: Path, quick_recipe: WriteRecipe
) -> None:
    recipe = quick_recipe("FP32: []", PRUNED, more="gate: {max_size_bytes: 1000}")

    assert "are allowed" in fails(4, "run", recipe, "-o", "out")
    assert (here / "out/report/report.html").is_file()


def test_a_wrong_setting_deep_in_a_recipe_fails_before_any_work(
    fails: Ok, here: Path, quick_recipe: WriteRecipe
) -> None:
    recipe = quick_recipe("FP32: []", "wild: [ {prune-heads: {fraction: 30}} ]")

    sentence = fails(2, "run", recipe, "-o", "out")

    assert "variants.wild" in sentence
    assert "did you mean 0.30?" in sentence
    assert not (here / "out").exists()


def test_a_wrong_order_names_the_two_passes(
    fails: Ok, here: Path, quick_recipe: WriteRecipe
) -> None:
    recipe = quick_recipe("late: [ export, {prune-heads: {fraction: 0.3}} ]")

    sentence = fails(2, "run", recipe)

    assert "PruneHeads" in sentence
    assert "ExportOnnx" in sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    "verb",
    [
        ("prune", "--heads", "0.25", "--ffn", "0.5", "--multiple", "8"),
        ("quantize", "--bits", "8", "--method", "static", "--samples", "10"),
        ("finetune", "--epochs", "1", "--batch-size", "8"),
    ],
)
def test_every_verb_writes_the_recipe_that_repeats_it(
    ok: Ok, workspace: Path, verb: tuple[str, ...]
) -> None:
    made = workspace / ok(*verb)

    ok("run", made / "recipe.yaml", "-o", "again")

    [again] = [path for path in (workspace / "again").iterdir() if not path.name.startswith(".")]
    assert weights_of(again) == weights_of(made) != {}


def test_a_recipe_names_no_path_of_this_machine_when_none_was_typed(
    ok: Ok, here: Path, model: Path
) -> None:
    (here / "model").symlink_to(model)

    ok("prune", "model", "--heads", "0.3", "-o", "small")

    plain = yaml.safe_load((here / "small/recipe.yaml").read_text())
    assert plain["model"] == "../model"
    assert str(here) not in (here / "small/recipe.yaml").read_text()
