"""The pipeline: refused when built, run in order, resumed by content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint, Kind, OnnxModel
from bertcompress.errors import DataError, PassError, UnexpectedPassError, UsageError
from bertcompress.passes.base import NoDetails, Pass
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune_units import PruneFfn, PruneHeads
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.pipeline import Pipeline, StepStore, content_hash

Checkpoints = Callable[..., Checkpoint]


@dataclass(frozen=True)
class Break(Pass[Checkpoint, Checkpoint]):
    """Raises the fault of that name."""

    fault: str

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, NoDetails]:
        raise FAULTS[self.fault]


@dataclass(frozen=True)
class CountRuns(Pass[Checkpoint, Checkpoint]):
    """Changes nothing and tells the progress which one was run."""

    mark: str

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, NoDetails]:
        context.progress(self.mark, 1, 1)
        return checkpoint, NoDetails()


class Runs(Context):
    """Keeps which passes were run."""

    def __init__(self) -> None:
        self.marks: list[str] = []
        super().__init__(progress=lambda mark, _done, _total: self.marks.append(mark))


FAULTS: dict[str, BaseException] = {
    "unforeseen": ValueError("shapes (2,) and (3,)\nand much more"),
    "silent": ValueError(),
    "foreseen": DataError("no texts"),
    "interrupt": KeyboardInterrupt(),
}


def test_a_wrong_order_fails_when_built_and_names_both() -> None:
    with pytest.raises(
        UsageError, match=r"PruneHeads \(step 2\).*ExportOnnx \(step 1\).*before the export"
    ):
        Pipeline([ExportOnnx(), PruneHeads(0.3)])
    with pytest.raises(UsageError, match="put ExportOnnx between PruneHeads and QuantizeDynamic"):
        Pipeline([PruneHeads(0.3), QuantizeDynamic()])


def test_an_empty_pipeline_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one pass"):
        Pipeline([])


def test_the_wrong_start_is_refused(tiny_checkpoint: Checkpoints) -> None:
    with pytest.raises(UsageError, match="works on a graph and was given a checkpoint"):
        Pipeline([QuantizeDynamic()])(tiny_checkpoint())


@pytest.mark.slow
def test_the_history_has_every_step(tiny_checkpoint: Checkpoints) -> None:
    result = Pipeline([PruneHeads(0.4), PruneFfn(0.5, multiple=8), ExportOnnx()])(tiny_checkpoint())
    assert isinstance(result, OnnxModel)
    assert [step.name for step in result.history] == ["PruneHeads", "PruneFfn", "ExportOnnx"]
    assert result.history[0].settings["fraction"] == 0.4


def test_finished_steps_are_not_run_again(tiny_checkpoint: Checkpoints, tmp_path: Path) -> None:
    runs = Runs()
    store = StepStore(tmp_path / "steps")
    first = Pipeline([CountRuns("a"), CountRuns("b")])
    longer = Pipeline([CountRuns("a"), CountRuns("b"), CountRuns("c")])

    first.run(tiny_checkpoint(), runs, store=store)
    result = longer.run(tiny_checkpoint(), runs, store=store)

    assert runs.marks == ["a", "b", "c"]
    assert [step.settings["mark"] for step in result.history] == ["a", "b", "c"]


def test_a_changed_setting_runs_that_step_and_all_after_it(
    tiny_checkpoint: Checkpoints, tmp_path: Path
) -> None:
    runs = Runs()
    store = StepStore(tmp_path / "steps")
    Pipeline([CountRuns(mark) for mark in "abc"]).run(tiny_checkpoint(), runs, store=store)
    runs.marks.clear()

    Pipeline([CountRuns(mark) for mark in "axc"]).run(tiny_checkpoint(), runs, store=store)

    assert runs.marks == ["x", "c"]


def test_another_model_runs_everything(tiny_checkpoint: Checkpoints, tmp_path: Path) -> None:
    runs = Runs()
    store = StepStore(tmp_path / "steps")
    chain = Pipeline([CountRuns("a")])
    chain.run(tiny_checkpoint(), runs, store=store)
    other = tiny_checkpoint()
    with torch.no_grad():
        other.model.classifier.bias.add_(1.0)

    chain.run(other, runs, store=store)

    assert runs.marks == ["a", "a"]


@pytest.mark.slow
def test_an_interruption_keeps_what_was_finished(
    tiny_checkpoint: Checkpoints, tmp_path: Path
) -> None:
    runs = Runs()
    store = StepStore(tmp_path / "steps")

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage != "a":
            raise KeyboardInterrupt
        runs.marks.append(stage)

    chain = Pipeline([CountRuns("a"), ExportOnnx()])
    with pytest.raises(KeyboardInterrupt):
        chain.run(tiny_checkpoint(), Context(progress=interrupt), store=store)
    chain.run(tiny_checkpoint(), runs, store=store)

    assert runs.marks.count("a") == 1


def test_what_nobody_foresaw_names_the_pass_and_those_before_it(
    tiny_checkpoint: Checkpoints,
) -> None:
    fault = FAULTS["unforeseen"]

    with pytest.raises(UnexpectedPassError) as first:
        Pipeline([Break("unforeseen")])(tiny_checkpoint())
    with pytest.raises(PassError) as third:
        Pipeline([CountRuns("a"), PruneHeads(0.4), Break("unforeseen"), ExportOnnx()])(
            tiny_checkpoint()
        )

    assert str(first.value) == (
        "Break (step 1 of 1) failed unexpectedly: ValueError: shapes (2,) and (3,); "
        "please report it with its traceback"
    )
    assert str(third.value).startswith(
        "Break (step 3 of 4, after CountRuns, PruneHeads) failed unexpectedly: ValueError: shapes"
    )
    assert first.value.__cause__ is third.value.__cause__ is fault


@pytest.mark.parametrize("name", ["foreseen", "interrupt"])
def test_what_was_foreseen_comes_out_as_it_is(tiny_checkpoint: Checkpoints, name: str) -> None:
    with pytest.raises(type(FAULTS[name])) as found:
        Pipeline([Break(name)])(tiny_checkpoint())

    assert found.value is FAULTS[name]


def test_after_what_nobody_foresaw_finished_steps_are_not_run_again(
    tiny_checkpoint: Checkpoints, tmp_path: Path
) -> None:
    runs = Runs()
    store = StepStore(tmp_path / "steps")
    chain = Pipeline([CountRuns("a"), Break("silent")])

    for _ in range(2):
        with pytest.raises(
            PassError, match=r"Break \(step 2 of 2, after CountRuns\).*ValueError; "
        ):
            chain.run(tiny_checkpoint(), runs, store=store)

    assert runs.marks == ["a"]


def test_a_damaged_step_runs_again(tiny_checkpoint: Checkpoints, tmp_path: Path) -> None:
    runs = Runs()
    store = StepStore(tmp_path / "steps")
    chain = Pipeline([CountRuns("a")])
    chain.run(tiny_checkpoint(), runs, store=store)
    (weights,) = (tmp_path / "steps").glob("*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])

    chain.run(tiny_checkpoint(), runs, store=store)

    assert runs.marks == ["a", "a"]


def test_the_plan_says_what_is_finished(tiny_checkpoint: Checkpoints, tmp_path: Path) -> None:
    runs = Runs()
    store = StepStore(tmp_path / "steps")
    Pipeline([CountRuns("a")]).run(tiny_checkpoint(), runs, store=store)

    plan = Pipeline([CountRuns("a"), ExportOnnx()]).plan(tiny_checkpoint(), store=store)

    assert [(step.name, step.finished) for step in plan] == [
        ("CountRuns", True),
        ("ExportOnnx", False),
    ]
    assert runs.marks == ["a"]


def test_the_content_hash_is_of_the_content(
    tiny_checkpoint: Checkpoints, tiny_graph: Callable[..., OnnxModel]
) -> None:
    assert content_hash(tiny_checkpoint()) == content_hash(tiny_checkpoint())
    assert content_hash(tiny_checkpoint()) != content_hash(
        tiny_checkpoint(task="feature-extraction")
    )
    assert content_hash(tiny_graph()) == content_hash(tiny_graph())
