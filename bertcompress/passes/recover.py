"""Trains a pruned model to answer as the model it was made from: distillation, no labels needed.

The teacher is the model before pruning, loaded from its folder; the loss is in `bert/distill.py`.
One part in ten of the texts is held out and chooses the best epoch.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from bertcompress.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.bert.distill import TEMPERATURE, distillation_loss
from bertcompress.bert.load import load
from bertcompress.bert.structure import shape_of
from bertcompress.data.partition import sample
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example
from bertcompress.passes.base import NOT_A_SETTING, checkpoint_for, settings_of
from bertcompress.passes.pruned import check_counts
from bertcompress.passes.torch_batches import features_for
from bertcompress.passes.training import Schedule, require_accelerate, train_model
from bertcompress.progress import Progress, silent

HELD_OUT = 10
"""Of every so many texts one is held out."""


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
        self._schedule()  # refuses what can't be meant
        check_counts(samples=self.samples)
        if not self.examples:
            raise UsageError("recovery needs texts and none were given; add --data")
        if self.max_length < 3:
            raise UsageError(f"max_length must be 3 or more, got {self.max_length}")
        if self.hidden < 0 or self.temperature <= 0:
            raise UsageError(
                f"hidden must be 0 or more and temperature above 0, got {self.hidden:g} and "
                f"{self.temperature:g}"
            )

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
        teacher = self._teacher_for(checkpoint)
        drawn = sample(self.examples, min(self.samples, len(self.examples)), seed=self.seed)
        features = features_for(checkpoint, drawn, max_length=self.max_length)
        held_out = features[HELD_OUT - 1 :: HELD_OUT]
        kept = [one for at, one in enumerate(features) if at % HELD_OUT != HELD_OUT - 1]
        model: Any = copy.deepcopy(checkpoint.model)

        def loss(student: Any, batch: dict[str, Any]) -> Any:
            return distillation_loss(
                teacher.model, student, batch, hidden=self.hidden, temperature=self.temperature
            )

        epochs = train_model(
            model,
            kept,
            held_out,
            self._schedule(),
            pad_token_id=checkpoint.tokenizer.pad_token_id or 0,
            stage="recover",
            state_folder=self.state_folder,
            loss=loss,
            progress=progress,
        )
        result = replace(checkpoint, model=model.cpu().eval())
        step = timer.step("Recover", settings_of(self), result, details={"epochs": epochs})
        return replace(result, history=(*checkpoint.history, step))

    def _teacher_for(self, checkpoint: Checkpoint) -> Checkpoint:
        teacher = load(self.teacher, task=checkpoint.task)
        if not isinstance(teacher, Checkpoint):
            raise PassError(f"the teacher {self.teacher} is a graph; give the checkpoint")
        theirs, ours = shape_of(teacher.model), shape_of(checkpoint.model)
        if (theirs.layers, theirs.hidden_size) != (ours.layers, ours.hidden_size):
            raise PassError(
                f"the teacher {self.teacher} has {theirs.layers} layers of {theirs.hidden_size}, "
                f"the model {ours.layers} of {ours.hidden_size}; give the model before pruning, or "
                "fine-tune instead"
            )
        if teacher.config.vocab_size != checkpoint.config.vocab_size:
            raise PassError(
                f"the teacher {self.teacher} has {teacher.config.vocab_size} tokens, the model "
                f"{checkpoint.config.vocab_size}; recover first, then make the vocabulary smaller"
            )
        return teacher

    def _schedule(self) -> Schedule:
        return Schedule(
            self.epochs,
            self.learning_rate,
            self.batch_size,
            self.warmup_fraction,
            self.weight_decay,
            self.seed,
        )
