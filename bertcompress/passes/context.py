"""What a run has beside the settings of its passes: texts, calibration, the original, a place.

A pass is settings only, so that passes can be compared, written to a recipe and read back. All that
a run gives it comes in a `Context`: examples, what finds ranges, the model that the run began with,
a folder in which long work keeps its state, and who is told how far it is. The recipes have one
that reads its examples when they are first asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bertcompress.data.partition import hold_out
from bertcompress.errors import UsageError
from bertcompress.examples import Dataset, Example, fingerprint_of
from bertcompress.passes.settings import Need
from bertcompress.progress import Note, Progress, silent, unsaid

if TYPE_CHECKING:
    from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
    from bertcompress.artifacts.calibration_table import CalibrationTable
    from bertcompress.passes.ranges import Ranges


class Calibrates(Protocol):
    """Finds the ranges of a float graph; `bertcompress_calibration` does it."""

    def __call__(
        self,
        model: OnnxModel,
        ranges: Ranges,
        context: Context,
        *,
        seed: int,
        attention: bool = False,
    ) -> CalibrationTable:
        """Returns the table; see `Context.ranges_of`."""
        ...


class Context:
    """What passes are given by a run.

    Args:
        examples: What is measured and fitted on, labels or not: a data set or its examples.
        train: Labelled examples to learn from.
        validation: Labelled examples that choose the best epoch.
        held_out: What answers are judged on and nothing is fitted to, labels or not; without any,
            one text in ten is taken out of the examples (`bertcompress.data.partition.hold_out`).
        split: The split that the examples are of; a data set says it itself.
        calibrate: Finds the ranges of a graph.
        original: Returns the model before pruning, which targets and distillation compare with;
            without one, a pipeline gives what it began with.
        machine: What engines are built for.
        state: Where long work keeps what it needs to go on; None keeps nothing.
        progress: Progress callback.
        note: Is told what the user should know while a pass is at work.
    """

    def __init__(
        self,
        examples: Dataset | Sequence[Example] = (),
        *,
        train: Sequence[Example] = (),
        validation: Sequence[Example] = (),
        held_out: Sequence[Example] = (),
        split: str | None = None,
        calibrate: Calibrates | None = None,
        original: Callable[[], Checkpoint] | None = None,
        machine: str = "",
        state: Path | None = None,
        progress: Progress = silent,
        note: Note = unsaid,
    ) -> None:
        if isinstance(examples, Dataset):
            split = split or examples.split
        self._source = examples.source if isinstance(examples, Dataset) else None
        self._examples, self._split = tuple(examples), split
        self._train, self._validation = tuple(train), tuple(validation)
        self._held_out = tuple(held_out)
        self._calibrate, self._original = calibrate, original
        self._machine, self.state, self.progress = machine, state, progress
        self.note = note

    @property
    def examples(self) -> tuple[Example, ...]:
        """What is measured and fitted on, with labels or without."""
        return self._examples

    @property
    def split(self) -> str | None:
        """The split that the examples are of, where it is known."""
        return self._split

    @property
    def source(self) -> str | None:
        """What was typed as the examples' source, where it is known."""
        return self._source

    @property
    def train(self) -> tuple[Example, ...]:
        """Labelled examples to learn from."""
        return self._train

    @property
    def validation(self) -> tuple[Example, ...]:
        """Labelled examples that choose the best epoch; may be none."""
        return self._validation

    @property
    def held_out(self) -> tuple[Example, ...]:
        """What answers are judged on, beside `fitted`."""
        return self._apart or hold_out(self.examples)[1]

    @property
    def fitted(self) -> tuple[Example, ...]:
        """The examples but for those held out."""
        return self.examples if self._apart else hold_out(self.examples)[0]

    @property
    def machine(self) -> str:
        """What engines are built for."""
        return self._machine

    @property
    def _apart(self) -> tuple[Example, ...]:
        """What is held out and not of the examples; may be none."""
        return self._held_out

    @property
    def has_examples(self) -> bool:
        """Whether there are examples; asking reads none."""
        return bool(self._examples)

    @property
    def has_train(self) -> bool:
        """Whether there are labelled examples to learn from; asking reads none."""
        return bool(self._train)

    @property
    def finds_ranges(self) -> bool:
        """Whether the run has what finds ranges."""
        return self._calibrate is not None

    def ranges_of(
        self, model: OnnxModel, ranges: Ranges, *, seed: int, attention: bool = False
    ) -> CalibrationTable:
        """Finds the ranges of a float graph.

        Args:
            model: The float graph.
            ranges: How.
            seed: Draws the examples.
            attention: Whether query, key and value are watched too.

        Raises:
            UsageError: If the run has nothing that finds them.
            CalibrationError: If they can't be found.
        """
        if self._calibrate is None:
            raise UsageError(
                "this run has nothing that finds ranges; give Context(calibrate=…), or call the "
                "pass through bertcompress.Pipeline"
            )
        return self._calibrate(model, ranges, self, seed=seed, attention=attention)

    def original(self) -> Checkpoint:
        """Returns the model before pruning.

        Raises:
            UsageError: If the run does not know it.
        """
        if self._original is None:
            raise UsageError(
                "this compares with the model before pruning, which is not known here; name its "
                "folder"
            )
        return self._original()

    def identity(self, needs: Sequence[Need]) -> dict[str, str]:
        """Returns what a step that needs these is known by, by the need's name."""
        of: Mapping[Need, Callable[[], str]] = {
            "examples": lambda: _told(self.examples),
            "labels": lambda: _told((*self.train, *self.validation)),
            "held out": lambda: _told(self.held_out),
            "machine": lambda: self.machine,
        }
        return {need: of[need]() for need in needs}

    def changed(
        self,
        *,
        examples: Sequence[Example] | None = None,
        calibrate: Calibrates | None = None,
        original: Callable[[], Checkpoint] | None = None,
        state: Path | None = None,
        progress: Progress | None = None,
    ) -> Context:
        """Returns the same context but for what is given."""
        other = copy.copy(self)
        if examples is not None:
            other._examples, other._held_out = tuple(examples), ()
        other._calibrate = calibrate or self._calibrate
        other._original = original or self._original
        other.state = state or self.state
        other.progress = progress or self.progress
        return other

    @property
    def knows_original(self) -> bool:
        """Whether the model before pruning is known."""
        return self._original is not None


def _told(examples: Sequence[Example]) -> str:
    return f"{len(examples)} examples {fingerprint_of(examples)}" if examples else "none"
