"""Recipes: read strictly, written so that they read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.bench.settings import BenchSettings
from bertcompress.errors import DataError, UsageError
from bertcompress.gates.gate import GateLimits
from bertcompress.passes.prune.prune_units import PruneHeads
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.ranges import Ranges
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.recipe import Recipe
from bertcompress.recipes.recipe_file import read_recipe, recipe_text
from bertcompress.train.finetune import Finetune

GOOD = "model: m\nvariants:\n  small:\n    - prune-heads: {fraction: 0.3}\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults_of_a_short_recipe(here: Path) -> None:
    recipe = read_recipe(written(here, GOOD))

    assert recipe.variants == {"small": (PruneHeads(0.3),)}
    assert recipe.output.resolve() == here / "r-out"
    assert recipe.bench == BenchSettings()
    assert recipe.gate is None
    assert recipe.seed == 0


def test_a_recipe_reads_back_as_it_was_written(here: Path) -> None:
    recipe = Recipe(
        name="r.yaml",
        model="some/model",
        task="text-classification",
        data=DataSource(source="hf:glue/sst2", limit=5, label_map={"0": "no", "1": "yes"}),
        seed=3,
        base=(Finetune(epochs=1.5, seed=3),),
        variants={
            "FP32": (),
            "INT8": (QuantizeStatic(Ranges(samples=10), keep_float=("a", "b"), seed=1),),
        },
        bench=BenchSettings(rounds=2, grid_lengths=(16, 32)),
        gate=GateLimits(max_drop=0.01),
        output=Path("made"),
    )

    path = written(here, recipe_text(recipe, Path()))

    assert replace(read_recipe(Path(path.name)), name="r.yaml") == recipe


def test_paths_start_at_the_recipes_folder(here: Path) -> None:
    (here / "deep/model").mkdir(parents=True)
    (here / "deep/all.csv").write_text("text,label\n")

    recipe = read_recipe(
        written(here / "deep", GOOD.replace("m\n", "model\n", 1) + "data: all.csv")
    )

    assert Path(recipe.model).resolve() == here / "deep/model"
    assert recipe.data is not None
    assert Path(str(recipe.data.source)).resolve() == here / "deep/all.csv"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modle: m\n" + GOOD, "has no key 'modle'; did you mean 'model'?"),
        (GOOD.replace("prune-heads", "prune-haeds"), "did you mean 'prune-heads'?"),
        (GOOD.replace("fraction", "fractoin"), "did you mean 'fraction'?"),
        (GOOD.replace("0.3", "a third"), "prune-heads.fraction must be a number, got 'a third'"),
        (GOOD.replace("0.3", "true"), "must be a number"),
        (GOOD + "bench: {round: 3}\n", "did you mean 'rounds'?"),
        (GOOD + "gate: {max_dorp: 1}\n", "did you mean 'max_drop'?"),
        (GOOD + "data: {sauce: x}\n", "did you mean 'source'?"),
        (GOOD + "seed: one\n", "seed must be a whole number, got 'one'"),
        (GOOD + "  Small: []\n", "would share one folder"),
        (GOOD + "  '+': []\n", "needs a letter or a digit"),
        ("model: m\n", "variants must be a mapping"),
        ("model: m\nvariants: {a: prune}\n", "must be a list of steps"),
        ("model: 3\nvariants: {a: []}\n", "model must be a folder or a hub name, got 3"),
        ("- a\n", "a recipe is a mapping"),
    ],
)
def test_a_wrong_recipe_is_one_sentence_with_its_place(here: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"r\.yaml") as failure:
        read_recipe(written(here, text))

    assert said in str(failure.value)
    assert "\n" not in str(failure.value)


def test_the_place_of_a_wrong_step_is_named(here: Path) -> None:
    with pytest.raises(UsageError, match=r"variants\.small\[0\]"):
        read_recipe(written(here, GOOD.replace("fraction", "fractoin")))


def test_text_that_is_no_yaml_is_a_data_error(here: Path) -> None:
    with pytest.raises(DataError, match="is not YAML"):
        read_recipe(written(here, "model: [\n"))
    with pytest.raises(DataError, match="can't read the recipe"):
        read_recipe(here / "none.yaml")


def test_only_what_differs_from_the_defaults_is_written(here: Path) -> None:
    recipe = Recipe(
        "r", "m", Path("out"), {"INT8": (QuantizeStatic(Ranges("mse"), seed=3),)}, seed=3
    )

    text = recipe_text(recipe, Path())

    assert "  INT8:\n  - quantize-static:\n      method: mse\nbench: false\n" in text
