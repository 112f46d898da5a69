"""Recipes: read strictly, written so that they read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.bench.settings import BenchSettings
from bertcompress.errors import DataError, UsageError
from bertcompress.gates.gate import GateLimits
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.recipe import Recipe, StepSpec, with_exports
from bertcompress.recipes.recipe_file import read_recipe, recipe_text

GOOD = "model: m\nvariants:\n  small:\n    - prune-heads: {fraction: 0.3}\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_defaults_of_a_short_recipe(here: Path) -> None:
    recipe = read_recipe(written(here, GOOD))

    assert recipe.variants == {"small": (StepSpec("prune-heads", {"fraction": 0.3}),)}
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
        base=(StepSpec("finetune", {"epochs": 1.5}),),
        variants={
            "FP32": (),
            "INT8": (StepSpec("quantize-static", {"samples": 10, "keep_float": ["a", "b"]}),),
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


def test_numbers_that_yaml_takes_for_text_are_numbers(
    here: Path, make_finetune_rate: Callable[[str], float]
) -> None:
    assert make_finetune_rate("5e-5") == 5e-5


@pytest.fixture
def make_finetune_rate(data: Path) -> Callable[[str], float]:
    """Gives the learning rate that a recipe's text stands for."""
    from bertcompress.recipes.recipe import make_pass
    from bertcompress.recipes.resources import StandIn
    from bertcompress.train.finetune import Finetune

    def rate(text: str) -> float:
        material = StandIn(DataSource(source=str(data)), task="text-classification")
        made = make_pass(StepSpec("finetune", {"learning_rate": text}), material, seed=0)
        assert isinstance(made, Finetune)
        return made.learning_rate

    return rate


def test_exports_are_put_where_they_are_needed() -> None:
    prune, quantize = StepSpec("prune-heads", {"fraction": 0.3}), StepSpec("quantize-dynamic")
    export = StepSpec("export")

    assert with_exports([prune], is_graph=False, graph_wanted=False) == (prune,)
    assert with_exports([prune], is_graph=False, graph_wanted=True) == (prune, export)
    both = with_exports([prune, quantize], is_graph=False, graph_wanted=True)
    assert both == (prune, export, quantize)
    assert with_exports([quantize], is_graph=True, graph_wanted=True) == (quantize,)
    given = StepSpec("export", {"opset": 23})
    assert with_exports([given, quantize], is_graph=False, graph_wanted=True) == (given, quantize)


def test_training_for_quantization_takes_a_calibrator_where_it_needs_one(data: Path) -> None:
    from bertcompress.passes.quantize.quantize_static import QuantizeStatic
    from bertcompress.passes.quantize.trained_ranges import TrainedRanges
    from bertcompress.recipes.recipe import make_pass
    from bertcompress.recipes.resources import StandIn
    from bertcompress.train.train_quantized import TrainQuantized
    from bertcompress_calibration import Calibrate

    def made(name: str, **settings: object) -> object:
        material = StandIn(DataSource(source=str(data)), task="text-classification")
        return make_pass(StepSpec(name, settings), material, seed=5)

    eight = made("train-quantized", method="minmax", epochs=2)
    assert isinstance(eight, TrainQuantized)
    assert isinstance(eight.calibrate, Calibrate)
    assert (eight.calibrate.method, eight.epochs, eight.seed) == ("minmax", 2.0, 5)
    four = made("train-quantized", bits=4)
    assert isinstance(four, TrainQuantized)
    assert four.calibrate is None
    trained = made("quantize-static", method="trained", keep_float=["classifier"])
    assert isinstance(trained, QuantizeStatic)
    assert isinstance(trained.calibrate, TrainedRanges)

    with pytest.raises(UsageError, match="method is not used with 4 bits"):
        made("train-quantized", bits=4, method="minmax")
    with pytest.raises(UsageError, match="samples is not used with the ranges of training"):
        made("quantize-static", method="trained", samples=10)
    with pytest.raises(UsageError, match="method is not used with a saved table"):
        made("quantize-static", method="minmax", table="table.safetensors")
