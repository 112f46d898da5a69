"""What an artifact answers, through the runtime that deploys it.

Features are run in batches of similar length, so that little padding is computed; the answers are
given back in the examples' order, and no task ever sees a padded position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import RunError
from bertcompress.examples import Example
from bertcompress.inference.streams import Outputs, Runs, Streams
from bertcompress.numerics.finite import all_finite
from bertcompress.progress import Progress, silent
from bertcompress.tasks.base import Feature, Prediction, Task
from bertcompress.tasks.text_classification import TextClassification
from bertcompress.tasks.token_classification import TokenClassification

CHUNK_EXAMPLES = 1024
"""So many examples are held at once: the vectors of an embedding task are large."""


@dataclass(frozen=True)
class Answers:
    """What a model said.

    Attributes:
        predictions: One an example, in order.
        logits: For each feature its raw ``logits``, float32 ``[labels]`` or ``[length, labels]``;
            empty where the task has none.
        labels: The names of the logits' columns, where they have some.
    """

    predictions: tuple[Prediction, ...]
    logits: tuple[NDArray[np.float32], ...]
    labels: tuple[str, ...] = ()


class RunFeatures(Protocol):
    """Runs features and returns each one's outputs, in order."""

    def __call__(
        self, features: Sequence[Feature], /, *, finished: Callable[[int], None]
    ) -> list[Outputs]:
        """Runs them and tells `finished` how many features each batch had."""
        ...


def predict_all(
    runtime: Runs,
    task: Task,
    features: Sequence[Feature],
    examples: Sequence[Example],
    *,
    batch_size: int = 32,
    pad_token_id: int = 0,
    progress: Progress = silent,
) -> Answers:
    """Answers all examples through an opened runtime or a measuring process.

    `bertcompress.inference.predictor.Predictor` does so for a model folder.

    Args:
        runtime: What runs the features, one batch at a time.
        task: Turns outputs into answers.
        features: From `task.encode(tokenizer, examples)`.
        examples: What they were made from.
        batch_size: Features in a batch; those of similar length share one.
        pad_token_id: The tokenizer's padding token.
        progress: Progress callback.
    """
    streams = Streams([runtime])

    def run(rows: Sequence[Feature], *, finished: Callable[[int], None]) -> list[Outputs]:
        return [
            *streams.run_features(
                rows, batch_size=batch_size, pad_token_id=pad_token_id, finished=finished
            )
        ]

    return in_parts(task, features, examples, run, progress=progress)


def in_parts(
    task: Task,
    features: Sequence[Feature],
    examples: Sequence[Example],
    run: RunFeatures,
    *,
    progress: Progress,
) -> Answers:
    """Runs and decodes `CHUNK_EXAMPLES` examples at a time; the answers are in their order."""
    by_example: list[list[Feature]] = [[] for _ in examples]
    for feature in features:
        by_example[feature.example_index].append(feature)
    predictions: list[Prediction] = []
    logits: list[NDArray[np.float32]] = []
    done = 0

    def finished(count: int) -> None:
        nonlocal done
        done += count
        progress("answers", done, len(features))

    for start in range(0, len(examples), CHUNK_EXAMPLES):
        chunk = examples[start : start + CHUNK_EXAMPLES]
        rows = [
            replace(feature, example_index=feature.example_index - start)
            for group in by_example[start : start + CHUNK_EXAMPLES]
            for feature in group
        ]
        part = decoded(task, run(rows, finished=finished), rows, chunk)
        predictions += part.predictions
        logits += part.logits
    return Answers(tuple(predictions), tuple(logits), _labels_of(task))


def decoded(
    task: Task,
    outputs: Sequence[Outputs],
    features: Sequence[Feature],
    examples: Sequence[Example],
) -> Answers:
    """Turns outputs into answers.

    Args:
        task: Says what the outputs mean.
        outputs: One for each feature, without batch axis and without padded positions.
        features: What was run.
        examples: What they were made from.

    Raises:
        RunError: If an output is NaN or infinite.
    """
    _check_finite(outputs, features, examples)
    logits = [np.asarray(row["logits"], np.float32) for row in outputs if "logits" in row]
    return Answers(
        tuple(task.predict(outputs, features, examples)), tuple(logits), _labels_of(task)
    )


def _labels_of(task: Task) -> tuple[str, ...]:
    return task.labels if isinstance(task, TextClassification | TokenClassification) else ()


def _check_finite(
    outputs: Sequence[Outputs], features: Sequence[Feature], examples: Sequence[Example]
) -> None:
    for row, feature in zip(outputs, features, strict=False):  # counts are checked by the task
        for name, values in row.items():
            if not all_finite(values):
                raise RunError(
                    f"the model's {name} for {examples[feature.example_index].id} holds NaN or "
                    "infinity, so there is no answer; a graph in float16 may overflow (type: "
                    "bertcompress export MODEL --precision fp32), else its weights are damaged"
                )
