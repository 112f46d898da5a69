"""What the base of all passes does around `apply`: kinds, needs, the step, and settings as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from bertcompress.artifacts.artifact import Checkpoint, Kind, OnnxModel
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import TextExample
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.ranges import Ranges
from bertcompress.passes.settings import PATH, Need, check_choice, check_counts, settings_of

Make = Callable[..., Checkpoint]


@dataclass(frozen=True)
class CountedDetails:
    """What `CountExamples` tells."""

    examples_seen: int


@dataclass(frozen=True)
class CountExamples(Pass[Checkpoint, Checkpoint]):
    """Counts the examples, and changes nothing."""

    ranges: Ranges = field(default_factory=Ranges)
    kept: tuple[str, ...] = ()
    cache: str | None = field(default=None, metadata=PATH)
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    @property
    def needs(self) -> tuple[Need, ...]:
        return ("examples",)

    def check(self, context: Context) -> None:
        if not context.has_examples:
            raise UsageError("counting needs examples")

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, CountedDetails]:
        return replace(checkpoint), CountedDetails(len(context.examples))


TEXTS = (TextExample("0", "a good film"), TextExample("1", "a bad film"))


def test_a_step_says_what_changed(
    tiny_graph: Callable[..., OnnxModel], tiny_checkpoint: Make
) -> None:
    before = tiny_checkpoint()
    step = tiny_graph().history[-1]

    assert (step.name, step.settings["opset"]) == ("ExportOnnx", None)
    assert step.details["opset"] == 23
    assert (step.parameters_before, step.parameters_after) == (before.parameters, None)
    assert (step.bytes_before, step.bytes_after) == (before.size_bytes, tiny_graph().size_bytes)
    assert step.seconds >= 0
    assert "torch" in step.versions


def test_a_step_is_added_to_a_new_artifact(tiny_checkpoint: Make) -> None:
    artifact, count = tiny_checkpoint(), CountExamples(cache="here", kept=("a",), seed=3)

    twice = count(count(artifact, Context(TEXTS)), Context(TEXTS))

    assert artifact.history == ()
    assert [step.name for step in twice.history] == ["CountExamples"] * 2
    assert twice.model is artifact.model
    step = twice.history[-1]
    assert step.details == {"examples_seen": 2}
    assert step.settings == settings_of(count)
    assert step.data["examples"].startswith("2 examples ")


def test_settings_are_json_without_paths() -> None:
    settings = settings_of(CountExamples(cache="here", kept=("a",)))

    assert [*settings] == ["ranges", "kept", "seed"]
    assert settings["kept"] == ["a"]
    ranges = settings["ranges"]
    assert isinstance(ranges, dict)
    assert "table" not in ranges


def test_what_the_context_lacks_is_refused_before_any_work(tiny_checkpoint: Make) -> None:
    with pytest.raises(UsageError, match="counting needs examples"):
        CountExamples()(tiny_checkpoint())


def test_an_artifact_of_another_kind_is_refused(
    tiny_graph: Callable[..., OnnxModel], tiny_checkpoint: Make
) -> None:
    with pytest.raises(PassError, match="ExportOnnx works on a checkpoint and was given a graph"):
        ExportOnnx()(tiny_graph())
    with pytest.raises(PassError, match=r"QuantizeDynamic works on a graph.*export it first"):
        QuantizeDynamic()(tiny_checkpoint())


def test_choices_and_counts() -> None:
    check_choice("scope", "layer", ("global", "layer"))
    check_counts(samples=1)
    with pytest.raises(UsageError, match=r"scope must be one of global, layer.*did you mean"):
        check_choice("scope", "layr", ("global", "layer"))
    with pytest.raises(UsageError, match="samples must be 1 or more, got 0"):
        check_counts(samples=0)
