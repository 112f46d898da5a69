"""Texts on their way through a model: cut and tokenized, in batches of similar length, answered.

One home for what every measurement on texts does after it has drawn its examples. Who draws which
is told in `bertcompress.passes.samples` and `bertcompress.data.sample`; padding is
`bertcompress.tasks.pad`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from bertcompress.bert.families import pad_token_of
from bertcompress.examples import Example
from bertcompress.inference.deployed import length_for, task_for
from bertcompress.inference.streams import Outputs, Runs, Streams
from bertcompress.tasks import pad
from bertcompress.tasks.base import Feature, IntArray, Prediction, Task

if TYPE_CHECKING:
    from bertcompress.artifacts.artifact import Artifact


@dataclass(frozen=True)
class Texts:
    """Examples as a model's tokens.

    Attributes:
        task: What they are answered for.
        features: Their tokens, not padded; a long text may have several.
        examples: What these were made from.
        problem: The configuration's ``problem_type``.
        pad_token_id: The tokenizer's padding token.
    """

    task: Task
    features: Sequence[Feature]
    examples: Sequence[Example]
    problem: str | None = None
    pad_token_id: int = 0

    @classmethod
    def of(
        cls, model: Artifact, examples: Sequence[Example], *, max_length: int | None = None
    ) -> Self:
        """Tokenizes examples for a model.

        Args:
            model: Whose task, tokenizer and limits hold.
            examples: All are taken.
            max_length: Where longer texts are cut, tokens; None for what its files say.

        Raises:
            UsageError: `max_length` is more than the model has positions for.
            DataError: The examples do not fit the task.
        """
        task, length = task_for(model), length_for(model, max_length)
        features = task.encode(model.tokenizer, examples, max_length=length)
        return cls(
            task, features, examples, model.config.problem_type, pad_token_of(model.tokenizer)
        )

    @property
    def labelled(self) -> bool:
        """Whether every text has its right answer."""
        return all(feature.targets for feature in self.features)

    def outputs(
        self, runtime: Runs, *, batch_size: int, at: Sequence[int] | None = None
    ) -> list[Outputs]:
        """Returns a model's outputs, without batch axis and without padding.

        Args:
            runtime: Opened.
            batch_size: The most features in a batch.
            at: The positions of the features to run; None for all.
        """
        features = self.features if at is None else [self.features[i] for i in at]
        with Streams([runtime]) as streams:
            return list(
                streams.run_features(
                    features, batch_size=batch_size, pad_token_id=self.pad_token_id
                )
            )

    def predictions(self, outputs: Sequence[Outputs]) -> list[Prediction]:
        """Returns the answers that the outputs for all features mean."""
        return self.task.predict(outputs, self.features, self.examples)


def similar_lengths(features: Sequence[Feature], size: int) -> list[list[Feature]]:
    """Returns batches of features of similar length, the shortest first."""
    ordered = sorted(features, key=lambda feature: feature.length)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def padded_batches(
    features: Sequence[Feature], size: int, *, pad_token_id: int
) -> tuple[dict[str, IntArray], ...]:
    """Returns batches of features of similar length, padded."""
    return tuple(pad(batch, pad_token_id=pad_token_id) for batch in similar_lengths(features, size))
