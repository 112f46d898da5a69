"""From a recipe's steps to passes and back: settings, their groups, paths, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import UsageError
from bertcompress.examples import TextExample
from bertcompress.passes.base import AnyPass
from bertcompress.passes.prune.prune import Prune
from bertcompress.passes.quantize.quantize_nncf import QuantizeNncf
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.ranges import Ranges
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from bertcompress.recipes.resources import RecipeContext
from bertcompress.recipes.step_settings import plain_step, read_step
from bertcompress.search.fastest_int8 import QuantizeBest
from bertcompress.search.latency_table import Timing
from bertcompress.search.prune_to_target import PruneToTarget
from bertcompress.tasks import make_task
from bertcompress.train.finetune import Finetune
from bertcompress.train.train_quantized import TrainQuantized
from bertcompress_calibration import calibrate

TEXTS = tuple(TextExample(str(at), "a good film") for at in range(4))


def read(name: str, **settings: object) -> AnyPass:
    return read_step(name, settings, seed=5, folder=Path())


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_tensorrt_measures_its_ranges(precision: str) -> None:
    pass_ = read("quantize-tensorrt", precision=precision, target="10.0", attention=True, samples=3)
    assert pass_ == QuantizeTensorrt(
        Ranges(samples=3),
        precision=precision,  # type: ignore[arg-type]  # a test's parameter
        target="10.0",
        attention=True,
        seed=5,
    )


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_needs_no_data(precision: str) -> None:
    pass_ = read("quantize-tensorrt", precision=precision)
    assert pass_ == QuantizeTensorrt(precision=precision, seed=5)  # type: ignore[arg-type]  # as above
    pass_.check(RecipeContext())


@pytest.mark.parametrize(
    ("name", "kind"), [("quantize-static", QuantizeStatic), ("quantize-tensorrt", QuantizeTensorrt)]
)
def test_one_saved_table_for_both(
    name: str,
    kind: type[QuantizeStatic | QuantizeTensorrt],
    tmp_path: Path,
    tiny_graph: Callable[..., OnnxModel],
) -> None:
    graph = tiny_graph()
    task = make_task(graph.task, graph.config)
    table = calibrate(graph, TEXTS, task=task, threads=1).save(tmp_path / "table.safetensors")
    pass_ = read(name, table=str(table))
    assert pass_ == kind(Ranges(table=str(table)), seed=5)
    assert pass_(graph, RecipeContext()).history[-1].name == kind.__name__


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"precision": "fp16", "samples": 3}, "samples is not used with fp16"),
        ({"precision": "fp16", "table": "t"}, "table is not used with fp16"),
        ({"table": "t", "samples": 3}, "samples is not used with a saved table"),
        ({"target": 10.14}, 'target must be a text, got 10.14; write "10.14"'),
        ({"attention": "yes"}, "attention must be true or false"),
        ({"precison": "int8"}, "no setting 'precison'; did you mean 'precision'"),
    ],
)
def test_settings_that_can_not_be_meant(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        read("quantize-tensorrt", **settings)


def test_ranges_need_data_or_a_table() -> None:
    with pytest.raises(UsageError, match="none was given"):
        read("quantize-tensorrt").check(RecipeContext())


def test_groups_of_settings_stand_among_the_others() -> None:
    settings = {"method": "mse", "samples": 7, "length": 16, "max_drop": 0.01, "keep_float": ["a"]}
    best = read("quantize", **settings)
    assert best == QuantizeBest(
        Ranges("mse", 7), Timing(length=16), max_drop=0.01, keep_float=("a",), seed=5
    )
    assert plain_step(best, seed=5, folder=Path()) == {"quantize": settings}
    with pytest.raises(UsageError, match=r"quantize\.length must be a whole number, got 'long'"):
        read("quantize", length="long")


def test_a_seed_of_its_own_is_kept_and_written() -> None:
    pass_ = read("finetune", epochs=1, seed=0)
    assert pass_ == Finetune(epochs=1.0, seed=0)
    assert plain_step(pass_, seed=5, folder=Path()) == {"finetune": {"epochs": 1.0, "seed": 0}}
    assert plain_step(pass_, seed=0, folder=Path()) == {"finetune": {"epochs": 1.0}}


def test_a_path_starts_at_the_recipe_and_is_written_so(tmp_path: Path, here: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/timing.cache").touch()
    step = {"timing_cache": "timing.cache", "lengths": [16, 32]}

    pass_ = read_step("build-engine", step, seed=0, folder=Path("../recipes"))

    assert pass_ == BuildEngine(timing_cache="../recipes/timing.cache", lengths=(16, 32))
    assert plain_step(pass_, seed=0, folder=Path("../recipes")) == {
        "build-engine": {"lengths": [16, 32], "timing_cache": "timing.cache"}
    }


def test_pruning_to_a_target_is_a_step_of_two_names() -> None:
    wanted = PruneToTarget(target_speedup=1.5, precision="int8", timing=Timing(16), seed=5)
    for name in ("prune", "prune-to-target"):
        assert read(name, target_speedup=1.5, precision="int8", length=16) == wanted
    assert read("prune", heads=0.3) == Prune(heads=0.3, seed=5)
    assert [*plain_step(wanted, seed=5, folder=Path())] == ["prune-to-target"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"heads": 0.3, "precision": "int8"}, "precision is for a target in time; add target_sp"),
        ({"target_params": 0.5, "length": 16}, "length is for a target in time; add target_speed"),
        (
            {"heads": 0.3, "target_params": 0.5},
            "not heads and ffn and target_params",
        ),
        ({"refit": False}, "give heads 0.3 or ffn 0.3, or one target"),
        ({"target_speedpu": 1.5}, "did you mean 'target_speedup'"),
        ({"heads": 0.3, "precison": "int8"}, "did you mean 'precision'"),
        ({"heads": 0.3, "zzz": 1}, "prune has no setting 'zzz'; it has heads, ffn"),
    ],
)
def test_prune_says_what_does_not_go_together(
    settings: Mapping[str, object], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        read_step("prune", settings, seed=0, folder=Path())


def test_numbers_that_yaml_takes_for_text_are_numbers() -> None:
    assert read("finetune", learning_rate="5e-5") == Finetune(learning_rate=5e-5, seed=5)


def test_training_for_quantization_says_what_it_does_not_use() -> None:
    assert read("train-quantized", method="minmax", epochs=2) == TrainQuantized(
        method="minmax", epochs=2.0, seed=5
    )
    assert read("quantize-static", method="trained", keep_float=["classifier"]) == QuantizeStatic(
        Ranges("trained"), keep_float=("classifier",), seed=5
    )
    with pytest.raises(UsageError, match="method is not used with 4 bits"):
        read("train-quantized", bits=4, method="minmax")
    with pytest.raises(UsageError, match="samples is not used with the ranges of training"):
        read("quantize-static", method="trained", samples=10)
    with pytest.raises(UsageError, match="method is not used with a saved table"):
        read("quantize-static", method="minmax", table="table.safetensors")


def test_settings_of_nncf() -> None:
    pass_ = read("quantize-nncf", samples=7, smooth_alpha=None, keep_float=["a"], max_length=64)
    assert pass_ == QuantizeNncf(7, 64, smooth_alpha=None, keep_float=("a",), seed=5)
    with pytest.raises(UsageError, match="add max_drop"):
        read("quantize-nncf", held_out=5)
    with pytest.raises(UsageError, match="none was given; add --data"):
        read("quantize-nncf").check(RecipeContext())
    with pytest.raises(UsageError, match=r"no setting 'smooth_alfa'.*did you mean"):
        read("quantize-nncf", smooth_alfa=0.5)


def test_a_setting_that_is_missing_or_not_a_step_is_named() -> None:
    with pytest.raises(UsageError, match=r"prune-heads\.fraction is missing"):
        read("prune-heads")
    with pytest.raises(UsageError, match="no step 'prune-haeds'; did you mean 'prune-heads'"):
        read("prune-haeds")
    with pytest.raises(UsageError, match="the steps are finetune, prune"):
        read("zzz")
    with pytest.raises(UsageError, match="no setting 'machine'"):
        read("build-engine", machine="mine")
