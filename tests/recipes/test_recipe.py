"""From a recipe's steps to passes: settings, saved tables, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import UsageError
from bertcompress.examples import Example, TextExample
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from bertcompress.recipes.recipe import StepSpec, make_pass, with_exports
from bertcompress.recipes.resources import Material
from bertcompress_calibration import Calibrate, SavedTable

TEXTS = tuple(TextExample(str(at), "a good film") for at in range(4))


class Given(Material):
    """Examples without files."""

    def __init__(self, examples: tuple[Example, ...]) -> None:
        super().__init__(None, task="text-classification")
        self.__dict__["examples"] = examples


def made(name: str, settings: dict[str, object], *, data: bool = True) -> object:
    return make_pass(StepSpec(name, settings), Given(TEXTS if data else ()), seed=5)


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_tensorrt_measures_its_ranges(precision: str) -> None:
    pass_ = made(
        "quantize-tensorrt",
        {"precision": precision, "target": "10.0", "attention": True, "samples": 3},
    )
    assert pass_ == QuantizeTensorrt(
        Calibrate(TEXTS, samples=3, attention=True, seed=5),
        precision=precision,  # type: ignore[arg-type]  # a test's parameter
        target="10.0",
        attention=True,
        seed=5,
    )


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_needs_no_data(precision: str) -> None:
    pass_ = made("quantize-tensorrt", {"precision": precision}, data=False)
    assert pass_ == QuantizeTensorrt(precision=precision, seed=5)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("name", "kind"), [("quantize-static", QuantizeStatic), ("quantize-tensorrt", QuantizeTensorrt)]
)
def test_one_saved_table_for_both(
    name: str, kind: type, tmp_path: Path, tiny_graph: Callable[..., OnnxModel]
) -> None:
    table = Calibrate(TEXTS, threads=1)(tiny_graph()).save(tmp_path / "table.safetensors")
    pass_ = made(name, {"table": str(table)}, data=False)
    assert pass_ == kind(calibrate=SavedTable(table), seed=5)
    assert isinstance(pass_, QuantizeStatic | QuantizeTensorrt)
    assert replace(pass_)(tiny_graph()).history[-1].name == kind.__name__


def test_a_graph_for_tensorrt_is_exported_first() -> None:
    steps = with_exports([StepSpec("quantize-tensorrt")], is_graph=False, graph_wanted=True)
    assert [step.name for step in steps] == ["export", "quantize-tensorrt"]


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
        made("quantize-tensorrt", settings)


def test_ranges_need_data_or_a_table() -> None:
    with pytest.raises(UsageError, match="none was given"):
        made("quantize-tensorrt", {}, data=False)
