"""The pipeline: refused when built, run in order, resumed by content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Kind, OnnxModel, StepTimer
from bertcompress.errors import DataError, PassError, UnexpectedPassError, UsageError
from bertcompress.passes.base import NOT_A_SETTING, checkpoint_for, settings_of
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune_units import PruneFfn, PruneHeads
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.pipeline import Pipeline, StepStore, content_hash
from bertcompress.progress import Progress, silent

Checkpoints = Callable[..., Checkpoint]


@dataclass(frozen=True)
class Break:
    """Raises what it is given."""

    error: BaseException = field(metadata=NOT_A_SETTING)

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        raise self.error


@dataclass(frozen=True)
class CountRuns:
    """Changes nothing and counts how often it was run."""

    mark: str
    runs: list[str] = field(metadata=NOT_A_SETTING)

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        checkpoint = checkpoint_for(self, artifact)
        self.runs.append(self.mark)
        step = StepTimer(checkpoint).step("CountRuns", settings_of(self), checkpoint)
        return replace(checkpoint, history=(*checkpoint.history, step))


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


def test_the_history_has_every_step(tiny_checkpoint: Checkpoints) -> None:
    result = Pipeline([PruneHeads(0.4), PruneFfn(0.5, multiple=8), ExportOnnx()])(tiny_checkpoint())
    assert isinstance(result, OnnxModel)
    assert [step.name for step in result.history] == ["PruneHeads", "PruneFfn", "ExportOnnx"]
    assert result.history[0].settings["fraction"] == 0.4


def test_finished_steps_are_not_run_again(tiny_checkpoint: Checkpoints, tmp_path: Path) -> None:
    runs: list[str] = []
    store = StepStore(tmp_path / "steps")
    first = Pipeline([CountRuns("a", runs), CountRuns("b", runs)])
    longer = Pipeline([CountRuns("a", runs), CountRuns("b", runs), CountRuns("c", runs)])

    first.run(tiny_checkpoint(), store=store)
    result = longer.run(tiny_checkpoint(), store=store)

    assert runs == ["a", "b", "c"]
    assert [step.settings["mark"] for step in result.history] == ["a", "b", "c"]


def test_a_changed_setting_runs_that_step_and_all_after_it(
    tiny_checkpoint: Checkpoints, tmp_path: Path
) -> None:
    runs: list[str] = []
    store = StepStore(tmp_path / "steps")
    Pipeline([CountRuns(mark, runs) for mark in "abc"]).run(tiny_checkpoint(), store=store)
    runs.clear()

    Pipeline([CountRuns(mark, runs) for mark in "axc"]).run(tiny_checkpoint(), store=store)

    assert runs == ["x", "c"]


def test_another_model_runs_everything(tiny_checkpoint: Checkpoints, tmp_path: Path) -> None:
    runs: list[str] = []
    store = StepStore(tmp_path / "steps")
    chain = Pipeline([CountRuns("a", runs)])
    chain.run(tiny_checkpoint(), store=store)
    other = tiny_checkpoint()
    with torch.no_grad():
        other.model.classifier.bias.add_(1.0)

    chain.run(other, store=store)

    assert runs == ["a", "a"]


def test_an_interruption_keeps_what_was_finished(
    tiny_checkpoint: Checkpoints, tmp_path: Path
) -> None:
    runs: list[str] = []
    store = StepStore(tmp_path / "steps")

    def interrupt(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    chain = Pipeline([CountRuns("a", runs), ExportOnnx()])
    with pytest.raises(KeyboardInterrupt):
        chain.run(tiny_checkpoint(), store=store, progress=interrupt)
    chain.run(tiny_checkpoint(), store=store)

    assert runs == ["a"]


def test_what_nobody_foresaw_names_the_pass_and_those_before_it(
    tiny_checkpoint: Checkpoints,
) -> None:
    fault = ValueError("shapes (2,) and (3,)\nand much more")

    with pytest.raises(UnexpectedPassError) as first:
        Pipeline([Break(fault)])(tiny_checkpoint())
    with pytest.raises(PassError) as third:
        Pipeline([CountRuns("a", []), PruneHeads(0.4), Break(fault), ExportOnnx()])(
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


@pytest.mark.parametrize("fault", [DataError("no texts"), KeyboardInterrupt()])
def test_what_was_foreseen_comes_out_as_it_is(
    tiny_checkpoint: Checkpoints, fault: BaseException
) -> None:
    with pytest.raises(type(fault)) as found:
        Pipeline([Break(fault)])(tiny_checkpoint())

    assert found.value is fault


def test_after_what_nobody_foresaw_finished_steps_are_not_run_again(
    tiny_checkpoint: Checkpoints, tmp_path: Path
) -> None:
    runs: list[str] = []
    store = StepStore(tmp_path / "steps")
    chain = Pipeline([CountRuns("a", runs), Break(ValueError())])

    for _ in range(2):
        with pytest.raises(
            PassError, match=r"Break \(step 2 of 2, after CountRuns\).*ValueError; "
        ):
            chain.run(tiny_checkpoint(), store=store)

    assert runs == ["a"]


def test_a_damaged_step_runs_again(tiny_checkpoint: Checkpoints, tmp_path: Path) -> None:
    runs: list[str] = []
    store = StepStore(tmp_path / "steps")
    chain = Pipeline([CountRuns("a", runs)])
    chain.run(tiny_checkpoint(), store=store)
    (weights,) = (tmp_path / "steps").glob("*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])

    chain.run(tiny_checkpoint(), store=store)

    assert runs == ["a", "a"]


def test_the_plan_says_what_is_finished(tiny_checkpoint: Checkpoints, tmp_path: Path) -> None:
    store = StepStore(tmp_path / "steps")
    runs: list[str] = []
    Pipeline([CountRuns("a", runs)]).run(tiny_checkpoint(), store=store)

    plan = Pipeline([CountRuns("a", runs), ExportOnnx()]).plan(tiny_checkpoint(), store=store)

    assert [(step.name, step.finished) for step in plan] == [
        ("CountRuns", True),
        ("ExportOnnx", False),
    ]
    assert runs == ["a"]


def test_the_content_hash_is_of_the_content(
    tiny_checkpoint: Checkpoints, tiny_graph: Callable[..., OnnxModel]
) -> None:
    assert content_hash(tiny_checkpoint()) == content_hash(tiny_checkpoint())
    assert content_hash(tiny_checkpoint()) != content_hash(
        tiny_checkpoint(task="feature-extraction")
    )
    assert content_hash(tiny_graph()) == content_hash(tiny_graph())
