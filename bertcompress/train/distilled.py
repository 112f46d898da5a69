"""What the passes share that train a model to answer as another: the teacher, the texts, the loss.

No labels are needed. One part in ten of the texts is held out and chooses the best epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.families import pad_token_of
from bertcompress.bert.loading.load import load
from bertcompress.bert.structure import shape_of
from bertcompress.data.partition import sample
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example
from bertcompress.passes.prune.pruned import check_counts
from bertcompress.passes.samples import features_for
from bertcompress.progress import Progress
from bertcompress.tasks import Feature
from bertcompress.train.losses import distillation_loss
from bertcompress.train.trainer import Schedule, train_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HELD_OUT = 10
"""Of every so many texts one is held out."""


@dataclass(frozen=True)
class Distillation:
    """How a student learns to answer as its teacher.

    Attributes:
        teacher: The folder or hub name of the model to answer as.
        schedule: How long and how fast.
        max_length: Longest text in tokens.
        samples: At most this many texts are used, drawn stratified.
        hidden: The weight of the hidden states beside the answers.
        temperature: Softens the answers.
    """

    teacher: str
    schedule: Schedule
    max_length: int
    samples: int
    hidden: float
    temperature: float

    def __post_init__(self) -> None:
        check_counts(samples=self.samples)
        if self.max_length < 3:
            raise UsageError(f"max_length must be 3 or more, got {self.max_length}")
        if self.hidden < 0 or self.temperature <= 0:
            raise UsageError(
                f"hidden must be 0 or more and temperature above 0, got {self.hidden:g} and "
                f"{self.temperature:g}"
            )

    def teacher_for(self, checkpoint: Checkpoint) -> Checkpoint:
        """Loads the teacher.

        Raises:
            PassError: If it is a graph, or differs from the checkpoint in layers or tokens.
            LoadError: If it can't be loaded.
        """
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
                f"{checkpoint.config.vocab_size}; train first, then make the vocabulary smaller"
            )
        return teacher

    def train(
        self,
        student: PreTrainedModel,
        checkpoint: Checkpoint,
        teacher: Checkpoint,
        examples: Sequence[Example],
        *,
        stage: str,
        state_folder: str | None,
        measures_start: bool = False,
        progress: Progress,
    ) -> list[dict[str, object]]:
        """Trains the student in place and returns each epoch's number and validation loss.

        Args:
            student: What is trained.
            checkpoint: What the student was made from; its tokenizer makes the inputs.
            teacher: What `teacher_for` returned.
            examples: The texts to draw from.
            stage: What progress is told.
            state_folder: Where to keep what is needed to go on; None keeps nothing.
            measures_start: Whether the loss before training is measured too, as epoch 0.
            progress: Is told the steps done and their number.

        Raises:
            MissingDependencyError: If Accelerate is not installed.
        """
        kept, held_out = self._parts(checkpoint, examples)

        def loss(model: Any, batch: dict[str, Any]) -> Any:
            return distillation_loss(
                teacher.model, model, batch, hidden=self.hidden, temperature=self.temperature
            )

        return train_model(
            student,
            kept,
            held_out,
            self.schedule,
            pad_token_id=pad_token_of(checkpoint.tokenizer),
            stage=stage,
            state_folder=state_folder,
            loss=loss,
            measures_start=measures_start,
            progress=progress,
        )

    def _parts(
        self, checkpoint: Checkpoint, examples: Sequence[Example]
    ) -> tuple[list[Feature], list[Feature]]:
        """Draws the texts and returns what is trained on and what is held out."""
        count = min(self.samples, len(examples))
        drawn = sample(tuple(examples), count, seed=self.schedule.seed)
        features = features_for(checkpoint, drawn, max_length=self.max_length)
        kept = [one for at, one in enumerate(features) if at % HELD_OUT != HELD_OUT - 1]
        return kept, features[HELD_OUT - 1 :: HELD_OUT]


def check_texts(examples: Sequence[Example], purpose: str) -> None:
    """Fails with a UsageError if there are no texts for the purpose."""
    if not examples:
        raise UsageError(f"{purpose} needs texts and none were given; add --data")
