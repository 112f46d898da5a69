"""Trains a pruned model to answer as the model it was made from: distillation, no labels needed.

The teacher is the model before pruning; the loss is in `losses.py`, the training in `trainer.py`.
What the run holds out of the texts chooses the best epoch. `TrainQuantized` distils the
same way into a model with fake quantization.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.bert.answers import TEMPERATURE
from bertcompress.bert.families import pad_token_of
from bertcompress.bert.loading.load import load
from bertcompress.bert.structure import shape_of
from bertcompress.data.partition import HELD_OUT, sample
from bertcompress.errors import PassError, UsageError
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.samples import features_for
from bertcompress.passes.settings import Need, check_counts, part_of
from bertcompress.tasks import Feature
from bertcompress.train.losses import distillation_loss
from bertcompress.train.trainer import (
    Epoch,
    Schedule,
    TrainingDetails,
    require_accelerate,
    train_model,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Recover(Pass[Checkpoint, Checkpoint]):
    """Distils what was lost by pruning back into the pruned model.

    The examples are texts of the kind that it will answer; labels are not looked at.

    Attributes:
        teacher: The folder or hub name of the model before pruning; None takes the run's original.
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
    """

    teacher: str | None = None
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

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"
    trains: ClassVar[bool] = True

    def __post_init__(self) -> None:
        part_of(self, Schedule)  # refuses what can't be meant
        check_counts(samples=self.samples)
        if self.max_length < 3:
            raise UsageError(f"max_length must be 3 or more, got {self.max_length}")
        if self.hidden < 0 or self.temperature <= 0:
            raise UsageError(
                f"hidden must be 0 or more and temperature above 0, got {self.hidden:g} and "
                f"{self.temperature:g}"
            )

    @property
    def needs(self) -> tuple[Need, ...]:
        """The texts."""
        return ("examples",)

    def check(self, context: Context) -> None:
        """Refuses a run without texts."""
        check_texts(context, "recovery")

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, TrainingDetails]:
        """Returns the trained checkpoint, in evaluation mode on the CPU.

        Raises:
            PassError: If the teacher is a graph, or differs in task or layers.
            LoadError: If the teacher can't be loaded.
            MissingDependencyError: If Accelerate is not installed.
        """
        require_accelerate("recovery by distillation")
        teacher = self.teacher_for(checkpoint, context)
        model: Any = copy.deepcopy(checkpoint.model)
        epochs = self.train(model, checkpoint, teacher, context, stage="recover")
        return replace(checkpoint, model=model.cpu().eval()), TrainingDetails(epochs)

    def teacher_for(self, checkpoint: Checkpoint, context: Context) -> Checkpoint:
        """Returns the model to answer as.

        Raises:
            PassError: If it is a graph, or differs from the checkpoint in layers or tokens.
            LoadError: If it can't be loaded.
            UsageError: If none is named and the run does not know the original.
        """
        if self.teacher:
            name, teacher = self.teacher, load(self.teacher, task=checkpoint.task)
        else:
            name, teacher = "(the original model)", context.original()
        if not isinstance(teacher, Checkpoint):
            raise PassError(f"the teacher {name} is a graph; give the checkpoint")
        theirs, ours = shape_of(teacher.model), shape_of(checkpoint.model)
        if (theirs.layers, theirs.hidden_size) != (ours.layers, ours.hidden_size):
            raise PassError(
                f"the teacher {name} has {theirs.layers} layers of {theirs.hidden_size}, "
                f"the model {ours.layers} of {ours.hidden_size}; give the model before pruning, or "
                "fine-tune instead"
            )
        if teacher.config.vocab_size != checkpoint.config.vocab_size:
            raise PassError(
                f"the teacher {name} has {teacher.config.vocab_size} tokens, the model "
                f"{checkpoint.config.vocab_size}; train first, then make the vocabulary smaller"
            )
        return teacher

    def train(
        self,
        student: PreTrainedModel,
        checkpoint: Checkpoint,
        teacher: Checkpoint,
        context: Context,
        *,
        stage: str,
        measures_start: bool = False,
    ) -> tuple[Epoch, ...]:
        """Trains the student in place and returns the epochs.

        Args:
            student: What is trained.
            checkpoint: What the student was made from; its tokenizer makes the inputs.
            teacher: What `teacher_for` returned.
            context: Its examples are the texts to draw from; its state folder keeps what is needed
                to go on.
            stage: What progress is told.
            measures_start: Whether the loss before training is measured too, as epoch 0.

        Raises:
            MissingDependencyError: If Accelerate is not installed.
        """
        kept, held_out = self._parts(checkpoint, context)

        def loss(model: Any, batch: dict[str, Any]) -> Any:
            return distillation_loss(
                teacher.model, model, batch, hidden=self.hidden, temperature=self.temperature
            )

        return train_model(
            student,
            kept,
            held_out,
            part_of(self, Schedule),
            pad_token_id=pad_token_of(checkpoint.tokenizer),
            stage=stage,
            state=context.state,
            loss=loss,
            measures_start=measures_start,
            progress=context.progress,
            note=context.note,
        )

    def _parts(
        self, checkpoint: Checkpoint, context: Context
    ) -> tuple[list[Feature], list[Feature]]:
        """Draws the texts and returns what is trained on and what is held out."""
        kept, held_out = (
            sample(texts, min(most, len(texts)), seed=self.seed) if texts else ()
            for texts, most in (
                (context.fitted, self.samples),
                (context.held_out, max(1, self.samples // HELD_OUT)),
            )
        )
        return (
            features_for(checkpoint, kept, max_length=self.max_length),
            features_for(checkpoint, held_out, max_length=self.max_length),
        )


def check_texts(context: Context, purpose: str) -> None:
    """Fails with a UsageError if there are no texts for the purpose."""
    if not context.has_examples:
        raise UsageError(f"{purpose} needs texts and none were given; add --data")
