"""Passes in, artifact out: checked before anything is loaded, and each folder repeats itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import Checkpoint, Step
from bertcompress.errors import AccuracyGateError, SpeedGateError, UsageError
from bertcompress.passes.base import AnyPass
from bertcompress.passes.prune.prune_units import PruneHeads
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.ranges import Ranges
from bertcompress.recipes.apply_steps import (
    check_passes,
    make_artifact,
    refuse_rejected,
    starting_point,
    with_recipe,
)
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.recipe import Recipe
from bertcompress.recipes.recipe_file import RECIPE_NAME, read_recipe
from bertcompress.train.distill_checkpoint import Recover
from bertcompress.train.finetune import Finetune

Checkpoints = Callable[..., Checkpoint]


def recipe(model: object, *passes: AnyPass, data: object = None, task: str | None = None) -> Recipe:
    source = None if data is None else DataSource(source=str(data))
    return Recipe("test", str(model), Path("out"), {"only": passes}, task=task, data=source)


def test_a_checkpoint_is_exported_where_a_graph_is_wanted_and_that_is_said(model: Path) -> None:
    said: list[str] = []

    artifact = make_artifact(recipe(model, QuantizeDynamic()), remark="know this", note=said.append)

    assert [step.name for step in artifact.history] == ["ExportOnnx", "QuantizeDynamic"]
    assert said == ["know this", f"{model} is a checkpoint: it is exported to ONNX first"]


def test_a_folder_carries_the_recipe_that_repeats_it(here: Path, model: Path) -> None:
    asked = recipe(model, PruneHeads(0.25))

    make_artifact(asked, here / "001-small")

    again = read_recipe(here / "001-small")
    assert again.variants == {"small": (PruneHeads(0.25),)}
    assert again.output.name == "001-small-again"
    assert [path.name for path in here.iterdir()] == ["001-small"]  # no state is left behind


def test_the_recipe_holds_the_base_too(tiny_checkpoint: Checkpoints, here: Path) -> None:
    passes = (PruneHeads(0.25), QuantizeDynamic())
    asked = replace(recipe("model", passes[1]), base=passes[:1])

    kept = with_recipe(tiny_checkpoint(), asked, passes, here / "out").side_files[RECIPE_NAME]

    (here / "recipe.yaml").write_bytes(kept)
    assert read_recipe(here / "recipe.yaml").variants == {"out": passes}
    assert read_recipe(here / "recipe.yaml").base == ()


@pytest.mark.parametrize(
    ("passes", "message"),
    [
        ((QuantizeDynamic(), PruneHeads(0.25)), "PruneHeads"),
        ((Finetune(), Recover("")), "name its folder as recover.teacher"),
        ((QuantizeStatic(Ranges("nearest")),), "nearest"),
    ],
)
def test_what_can_not_be_meant_fails_before_anything_is_loaded(
    passes: tuple[AnyPass, ...], message: str, data: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        check_passes(recipe("no-such-model", *passes, data=data), passes)


def test_what_keeps_not_what_was_asked_fails_by_its_reason(
    tiny_checkpoint: Checkpoints, tmp_path: Path
) -> None:
    def rejected(reason: str) -> Checkpoint:
        details = {"rejected": "it does not do", "rejected_for": reason}
        step = Step("QuantizeBest", {}, 1.0, None, None, 1, 1, details)
        return replace(tiny_checkpoint(), history=(step,))

    with pytest.raises(SpeedGateError, match=r"it does not do; the attempt is kept in .*, marked"):
        refuse_rejected(rejected("speed"), tmp_path)
    with pytest.raises(AccuracyGateError, match="it does not do"):
        refuse_rejected(rejected("accuracy"), tmp_path)
    refuse_rejected(tiny_checkpoint(), tmp_path)


def test_training_starts_with_the_head_that_fits_or_a_new_one(
    model: Path, data: Path, tmp_path: Path, write_csv: Callable[..., Path]
) -> None:
    said: list[str] = []
    stars = write_csv(tmp_path / "stars.csv", 40, labels=("one", "two", "three"))

    kept, _ = starting_point(recipe(model, data=data), (Finetune(),), note=said.append)
    guessed = "guessed from the column names: text in 'text' (--text); label in 'label' (--label)"
    assert said == [guessed]
    new, splits = starting_point(recipe(model, data=stars), (Finetune(),), note=said.append)

    assert kept.config.id2label == {0: "negative", 1: "positive"}
    assert sorted(new.config.id2label.values()) == ["one", "three", "two"]
    assert f"{model} gets a new head for text-classification with 3 labels" in said
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 40


def test_a_model_without_a_head_learns_what_the_data_is_for(
    tiny_folder: Callable[..., Path], data: Path
) -> None:
    encoder = tiny_folder(task="feature-extraction")
    said: list[str] = []

    started, _ = starting_point(recipe(encoder, data=data), (Finetune(),), note=said.append)

    assert started.task == "text-classification"
    assert said[0].startswith("the data is for text-classification; --task says it")
    with pytest.raises(UsageError, match="has no head yet; say what to fine-tune it for"):
        starting_point(recipe(encoder), (Finetune(),))
