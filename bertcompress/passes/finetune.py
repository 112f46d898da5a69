"""Trains a checkpoint on labelled examples, with the Transformers Trainer.

The best epoch by validation loss is kept where there is a validation set. With a state folder the
Trainer writes a checkpoint after each epoch and goes on from the last one when it is started again.
"""

from __future__ import annotations

import contextlib
import copy
import math
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bertcompress.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.errors import DataError, MissingDependencyError, UsageError
from bertcompress.examples import Example
from bertcompress.passes.base import NOT_A_SETTING, checkpoint_for, settings_of
from bertcompress.passes.pruned import check_counts
from bertcompress.passes.torch_batches import features_for, torch_batch
from bertcompress.progress import Progress, silent
from bertcompress.quiet import quiet_transformers
from bertcompress.tasks import Feature

if TYPE_CHECKING:
    import torch
    from transformers import Trainer, TrainingArguments


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
        check_counts(batch_size=self.batch_size)
        if not self.train:
            raise UsageError("fine-tuning needs examples and none were given; add --data")
        if self.max_length < 3:
            raise UsageError(f"max_length must be 3 or more, got {self.max_length}")
        if not 0 < self.epochs < math.inf:
            raise UsageError(f"epochs must be above 0, got {self.epochs:g}")
        if not 0 < self.learning_rate < 1:
            raise UsageError(
                f"learning_rate must be between 0 and 1, got {self.learning_rate:g}; 5e-5 is usual"
            )
        if not 0 <= self.warmup_fraction < 1:
            raise UsageError(f"warmup_fraction must be in [0, 1), got {self.warmup_fraction:g}")

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        """Returns the trained checkpoint, in evaluation mode on the CPU.

        Raises:
            PassError: If the artifact is a graph.
            DataError: If the examples do not fit the task, or lack labels.
            MissingDependencyError: If Accelerate is not installed.
        """
        checkpoint = checkpoint_for(self, artifact)
        _require_accelerate()
        timer = StepTimer(checkpoint)
        model: Any = copy.deepcopy(checkpoint.model)
        with self._folder() as folder, _quiet_trainer():
            trainer = self._trainer(checkpoint, model, folder, progress)
            resumable = self.state_folder is not None and any(folder.glob("checkpoint-*"))
            trainer.train(resume_from_checkpoint=resumable or None)
            log = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
        result = replace(checkpoint, model=model.cpu().eval())
        epochs = [
            {"epoch": round(entry["epoch"], 2), "validation_loss": round(entry["eval_loss"], 4)}
            for entry in log
        ]
        step = timer.step("Finetune", settings_of(self), result, details={"epochs": epochs})
        return replace(result, history=(*checkpoint.history, step))

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        if self.state_folder is not None:
            Path(self.state_folder).mkdir(parents=True, exist_ok=True)
            yield Path(self.state_folder)
            return
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    def _trainer(
        self, checkpoint: Checkpoint, model: torch.nn.Module, folder: Path, progress: Progress
    ) -> Trainer:
        from transformers import PrinterCallback, Trainer

        train = self._rows(checkpoint, self.train)
        validation = self._rows(checkpoint, self.validation) if self.validation else None
        pad_token_id = checkpoint.tokenizer.pad_token_id or 0

        def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
            features = [row["feature"] for row in rows]
            batch = torch_batch(features, pad_token_id=pad_token_id)
            return {**batch.inputs, **batch.targets}

        trainer = Trainer(
            model=model,
            args=self._arguments(folder, steps=len(train), validates=validation is not None),
            data_collator=collate,
            train_dataset=train,
            eval_dataset=validation,
            callbacks=[_progress_callback(progress)],
        )
        trainer.remove_callback(PrinterCallback)  # it prints every log entry on stdout
        return trainer

    def _rows(self, checkpoint: Checkpoint, examples: tuple[Example, ...]) -> list[dict[str, Any]]:
        """Makes the Trainer's rows: the feature, and its tokens for grouping by length."""
        features: list[Feature] = features_for(checkpoint, examples, max_length=self.max_length)
        bare = next((one.example_index for one in features if not one.targets), None)
        if bare is not None:
            raise DataError(
                f"{examples[bare].id} has no label, and fine-tuning needs one for every example; "
                "name the column with --label-column"
            )
        return [{"feature": one, "input_ids": one.inputs["input_ids"]} for one in features]

    def _arguments(self, folder: Path, *, steps: int, validates: bool) -> TrainingArguments:
        import inspect

        from transformers import TrainingArguments

        total = max(1, math.ceil(steps / self.batch_size * self.epochs))
        keeps = validates or self.state_folder is not None
        # The option's name changed between Transformers 4 and 5.
        known = inspect.signature(TrainingArguments).parameters
        grouping: dict[str, Any] = (
            {"train_sampling_strategy": "group_by_length"}
            if "train_sampling_strategy" in known
            else {"group_by_length": True}
        )
        return TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=self.epochs,
            learning_rate=self.learning_rate,
            per_device_train_batch_size=self.batch_size,
            per_device_eval_batch_size=4 * self.batch_size,
            warmup_steps=int(total * self.warmup_fraction),
            weight_decay=self.weight_decay,
            seed=self.seed,
            eval_strategy="epoch" if validates else "no",
            save_strategy="epoch" if keeps else "no",
            save_total_limit=2,
            load_best_model_at_end=validates,
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
            **grouping,
        )


def _progress_callback(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Tell(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress("fine-tune", state.global_step, state.max_steps)

    return Tell()


@contextlib.contextmanager
def _quiet_trainer() -> Iterator[None]:
    """Keeps the Trainer's log lines and advice off the screen: progress is ours to show."""
    with quiet_transformers(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _require_accelerate() -> None:
    import importlib.util

    if importlib.util.find_spec("accelerate") is None:
        raise MissingDependencyError("accelerate", "train", "fine-tuning")
