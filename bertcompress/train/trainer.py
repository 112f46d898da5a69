"""Training with the Transformers Trainer: what the passes that train have in common."""

from __future__ import annotations

import contextlib
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertcompress.errors import MissingDependencyError, PassError, UsageError
from bertcompress.numerics.finite import first_not_finite
from bertcompress.passes.samples import torch_batch
from bertcompress.passes.settings import check_counts
from bertcompress.progress import Note, Progress, unsaid
from bertcompress.quiet import quiet_transformers
from bertcompress.tasks import Feature
from bertcompress.train.checkpoints import mark_whole, newest_whole, training

if TYPE_CHECKING:
    import torch
    from transformers import EvalPrediction, Trainer, TrainingArguments

Loss = Callable[[Any, "dict[str, torch.Tensor]"], "torch.Tensor"]
"""Of a model and a padded batch."""
_UNASKED = -100
"""The target of a word that nothing is asked of."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast is trained.

    Attributes:
        epochs: Passes over the training examples.
        learning_rate: The peak of a linear schedule with warm-up (AdamW).
        batch_size: Examples of one step.
        warmup_fraction: The part of all steps in which the rate rises.
        weight_decay: AdamW's.
        seed: Orders the examples and draws dropout.
    """

    epochs: float
    learning_rate: float
    batch_size: int
    warmup_fraction: float
    weight_decay: float
    seed: int

    def __post_init__(self) -> None:
        check_counts(batch_size=self.batch_size)
        if not 0 < self.epochs < math.inf:
            raise UsageError(f"epochs must be above 0, got {self.epochs:g}")
        if not 0 < self.learning_rate < 1:
            raise UsageError(
                f"learning_rate must be between 0 and 1, got {self.learning_rate:g}; 5e-5 is usual"
            )
        if not 0 <= self.warmup_fraction < 1:
            raise UsageError(f"warmup_fraction must be in [0, 1), got {self.warmup_fraction:g}")


@dataclass(frozen=True)
class Epoch:
    """How far training had come, in epochs, and the validation loss there."""

    epoch: float
    validation_loss: float


@dataclass(frozen=True)
class TrainingDetails:
    """What a pass that trains tells: its epochs, where a validation set was there."""

    epochs: tuple[Epoch, ...]


def train_model(
    model: torch.nn.Module,
    train: Sequence[Feature],
    validation: Sequence[Feature],
    schedule: Schedule,
    *,
    pad_token_id: int,
    stage: str,
    state: Path | None = None,
    loss: Loss | None = None,
    measures_start: bool = False,
    progress: Progress,
    note: Note = unsaid,
) -> tuple[Epoch, ...]:
    """Trains a model in place, on the CPU or what Accelerate finds.

    The best epoch by validation loss is kept where there is a validation set. With a state folder
    a checkpoint is written after each epoch, and training goes on from the last whole one when it
    is started again.

    Args:
        model: What is trained.
        train: To learn from.
        validation: Choose the best epoch; without any the last one is kept.
        schedule: How long and how fast.
        pad_token_id: The tokenizer's padding token.
        stage: What progress is told.
        state: A folder to keep what is needed to go on; None keeps nothing.
        loss: Of a model and a batch; None takes the model's own, which needs targets.
        measures_start: Whether the validation loss before training is measured too, as epoch 0.
        progress: Progress callback.
        note: Is told the validation loss of each epoch, and the share of right answers.

    Returns:
        The epochs whose validation loss was measured.

    Raises:
        MissingDependencyError: If Accelerate is not installed.
        PassError: If training left a weight that is not a finite number.
        OSError: If a checkpoint can't be written, a full disk included.
    """
    with tempfile.TemporaryDirectory() as scratch, _quiet_trainer():
        folder = (state or Path(scratch)).resolve()  # the Trainer keeps paths in its checkpoints
        folder.mkdir(parents=True, exist_ok=True)
        trainer = _trainer(
            model,
            train,
            validation,
            schedule,
            folder,
            pad_token_id,
            loss,
            keeps=state is not None,
        )
        trainer.add_callback(_progress_callback(progress, stage, note))
        resumed = newest_whole(folder)
        trainer.args.eval_on_start = measures_start and bool(validation) and resumed is None
        with training(trainer, folder, resumed):
            trainer.train(resume_from_checkpoint=None if resumed is None else str(resumed))
        log = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    check_trained(model)
    return tuple(Epoch(round(entry["epoch"], 2), round(entry["eval_loss"], 6)) for entry in log)


def check_trained(model: torch.nn.Module) -> None:
    """Fails with a PassError that names the first weight that training made NaN or infinite."""
    name = first_not_finite(model.state_dict().items())
    if name is not None:
        raise PassError(
            f"training made {name} NaN or infinite; take a lower learning_rate, such as 1e-5"
        )


def require_accelerate(purpose: str) -> None:
    """Fails with the sentence that says how to install it, where it is not."""
    import importlib.util

    if importlib.util.find_spec("accelerate") is None:
        raise MissingDependencyError("accelerate", "train", purpose)


def _trainer(
    model: torch.nn.Module,
    train: Sequence[Feature],
    validation: Sequence[Feature],
    schedule: Schedule,
    folder: Path,
    pad_token_id: int,
    loss: Loss | None,
    *,
    keeps: bool,
) -> Trainer:
    from transformers import PrinterCallback, Trainer

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        features = [row["feature"] for row in rows]
        batch = torch_batch(features, pad_token_id=pad_token_id)
        return {**batch.inputs, **batch.targets}

    class WithLoss(Trainer):
        """Takes our loss, in training and in validation."""

        def compute_loss(
            self,
            model: Any,
            inputs: Any,
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            assert loss is not None
            value = loss(model, inputs)
            return (value, {}) if return_outputs else value

        def prediction_step(
            self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
        ) -> Any:
            import torch

            with torch.no_grad():
                value = self.compute_loss(model, self._prepare_inputs(inputs))
            return value.detach(), None, None

    kind = Trainer if loss is None else WithLoss
    trainer = kind(
        model=model,
        args=_arguments(
            schedule,
            folder,
            steps=len(train),
            validates=bool(validation),
            keeps=bool(validation) or keeps,
        ),
        data_collator=collate,
        train_dataset=_rows(train),
        eval_dataset=_rows(validation) if validation else None,
        compute_metrics=_share_right if loss is None else None,
    )
    trainer.remove_callback(PrinterCallback)  # it prints every log entry on stdout
    trainer.add_callback(mark_whole())
    return trainer


def _share_right(outcome: EvalPrediction) -> dict[str, float]:
    """Returns the share of right classes, of texts or of words; nothing for other answers."""
    logits, gold = outcome.predictions, outcome.label_ids
    if isinstance(logits, tuple) or isinstance(gold, tuple) or gold.dtype.kind != "i":
        return {}
    asked = gold != _UNASKED
    return {"right": float((logits.argmax(-1) == gold)[asked].mean())}


def _rows(features: Sequence[Feature]) -> list[dict[str, Any]]:
    """Makes the Trainer's rows: the feature, and its tokens for grouping by length."""
    return [{"feature": row, "input_ids": row.inputs["input_ids"]} for row in features]


def _arguments(
    schedule: Schedule, folder: Path, *, steps: int, validates: bool, keeps: bool
) -> TrainingArguments:
    import inspect

    from transformers import TrainingArguments

    total = max(1, math.ceil(steps / schedule.batch_size * schedule.epochs))
    # The option's name changed between Transformers 4 and 5.
    known = inspect.signature(TrainingArguments).parameters
    grouping: dict[str, Any] = (
        {"train_sampling_strategy": "group_by_length"}
        if "train_sampling_strategy" in known
        else {"group_by_length": True}
    )
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=schedule.epochs,
        learning_rate=schedule.learning_rate,
        per_device_train_batch_size=schedule.batch_size,
        per_device_eval_batch_size=4 * schedule.batch_size,
        warmup_steps=int(total * schedule.warmup_fraction),
        weight_decay=schedule.weight_decay,
        seed=schedule.seed,
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


def _progress_callback(progress: Progress, stage: str, note: Note) -> Any:
    from transformers import TrainerCallback

    class Tell(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress(stage, state.global_step, state.max_steps)

        def on_evaluate(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            metrics = given["metrics"]
            right = metrics.get("eval_right")
            share = "" if right is None else f", {right:.1%} right"
            note(
                f"epoch {state.epoch:g} of {state.num_train_epochs:g}: "
                f"validation loss {metrics['eval_loss']:.3f}{share}"
            )

    return Tell()


@contextlib.contextmanager
def _quiet_trainer() -> Iterator[None]:
    """Keeps the Trainer's log lines and advice off the screen: progress is ours to show."""
    with quiet_transformers(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
