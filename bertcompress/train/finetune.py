"""Trains a checkpoint on labelled examples, with the Transformers Trainer.

The best epoch by validation loss is kept where there is a validation set. With a state folder the
Trainer writes a checkpoint after each epoch and goes on from the last one when it is started again.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.bert.families import pad_token_of
from bertcompress.errors import DataError, UsageError
from bertcompress.examples import Example
from bertcompress.passes.base import NOT_A_SETTING, checkpoint_for, settings_of
from bertcompress.passes.samples import features_for
from bertcompress.progress import Progress, silent
from bertcompress.tasks import Feature
from bertcompress.train.trainer import Schedule, require_accelerate, train_model


@dataclass(frozen=True)
class Finetune:
    """Fine-tunes on labelled examples.

    Attributes:
        train: The examples to learn from.
        validation: The examples that choose the best epoch; without any the last one is kept.
        epochs: Passes over the training examples.
        learning_rate: The peak of a linear schedule with warm-up (AdamW).
        batch_size: Examples of one step.
        max_length: Longest text in tokens.
        warmup_fraction: The part of all steps in which the rate rises.
        weight_decay: AdamW's.
        seed: Orders the examples and draws dropout.
        state_folder: Where to keep what is needed to go on after an interruption; None keeps
            nothing.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...] = ()
    epochs: float = 3.0
    learning_rate: float = 5e-5
    batch_size: int = 16
    max_length: int = 128
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    seed: int = 0
    state_folder: str | None = field(default=None, metadata=NOT_A_SETTING)

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        self._schedule()  # refuses what can't be meant
        if not self.train:
            raise UsageError("fine-tuning needs examples and none were given; add --data")
        if self.max_length < 3:
            raise UsageError(f"max_length must be 3 or more, got {self.max_length}")

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        """Returns the trained checkpoint, in evaluation mode on the CPU.

        Raises:
            PassError: If the artifact is a graph.
            DataError: If the examples do not fit the task, or lack labels.
            MissingDependencyError: If Accelerate is not installed.
        """
        checkpoint = checkpoint_for(self, artifact)
        require_accelerate("fine-tuning")
        timer = StepTimer(checkpoint)
        model: Any = copy.deepcopy(checkpoint.model)
        epochs = train_model(
            model,
            self._features(checkpoint, self.train),
            self._features(checkpoint, self.validation) if self.validation else (),
            self._schedule(),
            pad_token_id=pad_token_of(checkpoint.tokenizer),
            stage="fine-tune",
            state_folder=self.state_folder,
            progress=progress,
        )
        result = replace(checkpoint, model=model.cpu().eval())
        step = timer.step("Finetune", settings_of(self), result, details={"epochs": epochs})
        return replace(result, history=(*checkpoint.history, step))

    def _schedule(self) -> Schedule:
        return Schedule(
            self.epochs,
            self.learning_rate,
            self.batch_size,
            self.warmup_fraction,
            self.weight_decay,
            self.seed,
        )

    def _features(self, checkpoint: Checkpoint, examples: tuple[Example, ...]) -> list[Feature]:
        features = features_for(checkpoint, examples, max_length=self.max_length)
        bare = next((one.example_index for one in features if not one.targets), None)
        if bare is not None:
            raise DataError(
                f"{examples[bare].id} has no label, and fine-tuning needs one for every example; "
                "name the column with --label-column"
            )
        return features
