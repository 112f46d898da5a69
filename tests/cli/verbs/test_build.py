"""``build``: an engine in one line, what is printed, and each refusal with its exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.errors import UsageError
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.recipes.recipe import with_exports
from bertcompress.recipes.resources import RecipeContext
from bertcompress.recipes.step_settings import read_step
from bertcompress.workspace import find_workspace
from bertcompress_cli.quantities import whole_numbers

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)

Fake = Callable[..., Any]
Ok = Callable[..., str]
Fails = Callable[..., str]


@pytest.fixture
def graph(tiny_graph: Callable[..., OnnxModel], tmp_path: Path) -> Path:
    return save(tiny_graph(), tmp_path / "graph")


def test_from_a_checkpoint_to_answers(
    tiny_folder: Callable[..., Path], data: Path, here: Path, ok: Ok, fake_tensorrt: Fake
) -> None:
    trt = fake_tensorrt()
    cache = here / "timing.cache"
    ok(
        *("build", tiny_folder(), "-o", "engine", "--for", "latency", "--data", data),
        *("--precision", "fp16", "--timing-cache", cache, "--workspace", "1GiB"),
        *("--builder-optimization-level", "2", "--max-tactics", "4", "--max-aux-streams", "0"),
    )
    shown = json.loads(ok("show", "engine", "--json"))
    names = [step["name"] for step in shown["steps"]]
    assert shown["kind"] == "engine"
    assert names == ["ExportOnnx", "QuantizeTensorrt", "BuildEngine"]
    settings = shown["steps"][-1]["settings"]
    assert settings["optimization_level"] == 2
    assert settings["workspace_bytes"] == 2**30
    machine = shown["steps"][-1]["data"]["machine"]
    assert machine == "TensorRT 11.1.0.106, NVIDIA H100 80GB HBM3, sm 9.0, driver 580"
    assert cache.read_bytes() == b"+timed"
    assert "vram mib" in ok("show", "engine")
    before = trt.state.contexts
    answers = ok("predict", "engine", "the film is good")
    assert "positive" in answers or "negative" in answers
    assert trt.state.contexts > before
    again = ok("build", "engine", "-o", "again", "--lengths", "16,32", "--json")
    assert json.loads(again)["steps"] == ["ExportOnnx", "QuantizeTensorrt", "BuildEngine"]


def test_in_a_workspace(
    tiny_folder: Callable[..., Path], data: Path, here: Path, ok: Ok, fake_tensorrt: Fake
) -> None:
    fake_tensorrt()
    ok("init", "--model", tiny_folder(), "--data", data)
    ok("build", "--for", "throughput", "--batches", "2")
    workspace = find_workspace(here)
    assert workspace is not None
    [line] = workspace.lineage()
    assert line.kind == "engine"
    assert line.size_bytes > 0
    assert "BuildEngine" in ok("log")


def test_what_is_missing_has_exit_code_5(
    graph: Path, here: Path, fails: Fails, fake_tensorrt: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("build", graph, "-o", "engine", "--lengths", "16")
    trt = fake_tensorrt()
    trt.torch.cuda.there = False
    assert "needs an NVIDIA GPU" in fails(5, *line)
    trt.torch.version.cuda = None
    assert "torch was built without it" in fails(5, *line)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    said = fails(5, *line)
    assert said.endswith(
        'pip install "bertcompress[tensorrt]" --extra-index-url https://pypi.nvidia.com'
    )
    assert not Path("engine").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--for", "speed"), "goal must be one of latency, throughput"),
        (("--lengths", "16,x"), "lengths must be whole numbers such as 16,32,64, got '16,x'"),
        (("--lengths", "32,16"), "ascending, got 32,16"),
        (("--target", "8.5"), "add --precision"),
        (("--hardware-compatibility-level", "ampere"), "did you mean 'ampere+'"),
        (("--workspace", "much"), "workspace"),
    ],
)
def test_what_can_not_be_meant_has_exit_code_2_before_tensorrt_is_looked_for(
    options: tuple[str, ...], message: str, graph: Path, here: Path, fails: Fails
) -> None:
    assert message in fails(2, "build", graph, "-o", "engine", *options)


def test_without_lengths_the_way_out_is_said(
    graph: Path, here: Path, fails: Fails, fake_tensorrt: Fake
) -> None:
    fake_tensorrt()
    assert "add --data, or say them: --lengths" in fails(2, "build", graph, "-o", "engine")
    assert not Path("engine").exists()


def test_an_engine_of_elsewhere_is_refused_when_it_is_run(
    graph: Path, here: Path, ok: Ok, fails: Fails, fake_tensorrt: Fake
) -> None:
    fake_tensorrt("10.16.1.11")
    ok("build", graph, "-o", "engine", "--lengths", "32")
    fake_tensorrt("11.1.0.106")
    said = fails(1, "predict", "engine", "a film")
    assert "TensorRT 10.16.1.11 (here: TensorRT 11.1.0.106)" in said


def test_a_recipes_step_gets_an_export_and_the_machine(fake_tensorrt: Fake) -> None:
    settings = {"goal": "throughput", "lengths": [16, 32]}
    step = read_step("build-engine", settings, seed=3, folder=Path())
    passes = with_exports([step], is_graph=False, graph_wanted=True)
    assert [type(pass_) for pass_ in passes] == [ExportOnnx, BuildEngine]
    assert isinstance(step, BuildEngine)
    assert (step.lengths, step.seed) == ((16, 32), 3)
    assert step.identity(RecipeContext())["machine"] == ""
    fake_tensorrt()
    machine = step.identity(RecipeContext())["machine"]
    assert machine.startswith("TensorRT 11.1.0.106, NVIDIA H100")
    with pytest.raises(UsageError, match="no setting 'machine'"):
        read_step("build-engine", {"machine": "mine"}, seed=0, folder=Path())


def test_whole_numbers() -> None:
    assert whole_numbers("lengths", None) is None
    assert whole_numbers("lengths", "16, 32") == [16, 32]
    with pytest.raises(UsageError, match="lengths must be whole numbers"):
        whole_numbers("lengths", "-1")
