"""Trains a checkpoint on labelled examples, with the Transformers Trainer.

The best epoch by validation loss is kept where there is a validation set. With a state folder the
Trainer writes a checkpoint after each epoch and goes on from the last one when it is started again.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.bert.families import pad_token_of
from bertcompress.errors import DataError, UsageError
from bertcompress.examples import Example
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.samples import features_for
from bertcompress.passes.settings import Need, part_of
from bertcompress.tasks import Feature
from bertcompress.train.trainer import (
    Schedule,
    TrainingDetails,
    require_accelerate,
    train_model,
)


@dataclass(frozen=True)
class Finetune(Pass[Checkpoint, Checkpoint]):
    """Fine-tunes on the run's labelled examples.

    Attributes:
        epochs: Passes over the training examples.
        learning_rate: The peak of a linear schedule with warm-up (AdamW).
        batch_size: Examples of one step.
        max_length: Longest text in tokens.
        warmup_fraction: The part of all steps in which the rate rises.
        weight_decay: AdamW's.
        seed: Orders the examples and draws dropout.
    """

    epochs: float = 3.0
    learning_rate: float = 5e-5
    batch_size: int = 16
    max_length: int = 128
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"
    trains: ClassVar[bool] = True

    def __post_init__(self) -> None:
        part_of(self, Schedule)  # refuses what can't be meant
        if self.max_length < 3:
            raise UsageError(f"max_length must be 3 or more, got {self.max_length}")

    @property
    def needs(self) -> tuple[Need, ...]:
        """The labelled examples, to learn from and to choose the best epoch."""
        return ("labels",)

    def check(self, context: Context) -> None:
        """Refuses a run without examples to learn from."""
        if not context.has_train:
            raise UsageError("fine-tuning needs examples and none were given; add --data")

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, TrainingDetails]:
        """Returns the trained checkpoint, in evaluation mode on the CPU.

        Raises:
            DataError: If the examples do not fit the task, or lack labels.
            MissingDependencyError: If Accelerate is not installed.
        """
        require_accelerate("fine-tuning")
        model: Any = copy.deepcopy(checkpoint.model)
        validation = context.validation
        epochs = train_model(
            model,
            self._features(checkpoint, context.train),
            self._features(checkpoint, validation) if validation else (),
            part_of(self, Schedule),
            pad_token_id=pad_token_of(checkpoint.tokenizer),
            stage="fine-tune",
            state=context.state,
            progress=context.progress,
            note=context.note,
        )
        return replace(checkpoint, model=model.cpu().eval()), TrainingDetails(epochs)

    def _features(self, checkpoint: Checkpoint, examples: tuple[Example, ...]) -> list[Feature]:
        features = features_for(checkpoint, examples, max_length=self.max_length)
        bare = next((row.example_index for row in features if not row.targets), None)
        if bare is not None:
            raise DataError(
                f"{examples[bare].id} has no label, and fine-tuning needs one for every example; "
                "name the column with --label"
            )
        return features
