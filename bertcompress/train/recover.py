"""Trains a pruned model to answer as the model it was made from: distillation, no labels needed.

The teacher is the model before pruning, loaded from its folder; the loss is in `bert/distill.py`,
the training in `distilled.py`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.bert.answers import TEMPERATURE
from bertcompress.examples import Example
from bertcompress.passes.base import NOT_A_SETTING, checkpoint_for, settings_of
from bertcompress.progress import Progress, silent
from bertcompress.train.distilled import Distillation, check_texts
from bertcompress.train.trainer import Schedule, require_accelerate


@dataclass(frozen=True)
class Recover:
    """Distils what was lost by pruning back into the pruned model.

    Attributes:
        examples: Texts of the kind that it will answer; labels are not looked at.
        teacher: The folder or hub name of the model before pruning.
        epochs: Passes over the texts.
        learning_rate: The peak of a linear schedule with warm-up (AdamW).
        batch_size: Texts of one step.
        max_length: Longest text in tokens.
        samples: At most this many texts are used, drawn stratified.
        hidden: The weight of the hidden states beside the answers.
        temperature: Softens the answers.
        warmup_fraction: The part of all steps in which the rate rises.
        weight_decay: AdamW's.
        seed: Draws and orders the texts, and draws dropout.
        state_folder: Where to keep what is needed to go on after an interruption; None keeps
            nothing.
    """

    examples: tuple[Example, ...]
    teacher: str
    epochs: float = 2.0
    learning_rate: float = 1e-4
    batch_size: int = 32
    max_length: int = 128
    samples: int = 20_000
    hidden: float = 1.0
    temperature: float = TEMPERATURE
    warmup_fraction: float = 0.05
    weight_decay: float = 0.01
    seed: int = 0
    state_folder: str | None = field(default=None, metadata=NOT_A_SETTING)

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        self._distillation()  # refuses what can't be meant
        check_texts(self.examples, "recovery")

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        """Returns the trained checkpoint, in evaluation mode on the CPU.

        Raises:
            PassError: If the artifact or the teacher is a graph, or they differ in task or layers.
            LoadError: If the teacher can't be loaded.
            MissingDependencyError: If Accelerate is not installed.
        """
        checkpoint = checkpoint_for(self, artifact)
        require_accelerate("recovery by distillation")
        timer = StepTimer(checkpoint)
        distillation = self._distillation()
        teacher = distillation.teacher_for(checkpoint)
        model: Any = copy.deepcopy(checkpoint.model)
        epochs = distillation.train(
            model,
            checkpoint,
            teacher,
            self.examples,
            stage="recover",
            state_folder=self.state_folder,
            progress=progress,
        )
        result = replace(checkpoint, model=model.cpu().eval())
        step = timer.step("Recover", settings_of(self), result, details={"epochs": epochs})
        return replace(result, history=(*checkpoint.history, step))

    def _distillation(self) -> Distillation:
        schedule = Schedule(
            self.epochs,
            self.learning_rate,
            self.batch_size,
            self.warmup_fraction,
            self.weight_decay,
            self.seed,
        )
        return Distillation(
            self.teacher, schedule, self.max_length, self.samples, self.hidden, self.temperature
        )
