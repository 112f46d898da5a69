"""What an artifact answers, through the runtime that deploys it.

Features are run in batches of similar length, so that little padding is computed; the answers are
given back in the examples' order, and no task ever sees a padded position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bertcompress.bench.workload import Feed
from bertcompress.examples import Example
from bertcompress.progress import Progress, silent
from bertcompress.tasks.base import Arrays, Feature, Prediction, Task, pad

CHUNK_EXAMPLES = 1024
"""So many examples are held at once: the vectors of an embedding task are large."""

SPAN_OUTPUTS = ("start_logits", "end_logits")
"""Outputs of shape [batch, sequence]; all others that follow the sequence have a third axis."""


class Runs(Protocol):
    """Runs batches: an opened runtime, or a measuring process that holds one."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs that the model takes."""
        ...

    def run(self, feed: Feed) -> Mapping[str, NDArray[np.generic]]:
        """Runs one batch."""
        ...


@dataclass(frozen=True)
class Answers:
    """What a model said.

    Attributes:
        predictions: One an example, in order.
        logits: For each feature its raw ``logits``, float32 ``[labels]`` or ``[length, labels]``;
            empty where the task has none.
    """

    predictions: tuple[Prediction, ...]
    logits: tuple[NDArray[np.float32], ...]


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
    """Runs all features and returns an answer for each example, in order.

    Args:
        runtime: What runs them, opened.
        task: Turns outputs into answers.
        features: From `task.encode(tokenizer, examples)`.
        examples: What they were made from.
        batch_size: Features in a batch.
        pad_token_id: The tokenizer's padding token.
        progress: Is told how many features are done.
    """
    by_example: list[list[Feature]] = [[] for _ in examples]
    for feature in features:
        by_example[feature.example_index].append(feature)
    predictions: list[Prediction] = []
    logits: list[NDArray[np.float32]] = []
    done = 0
    for start in range(0, len(examples), CHUNK_EXAMPLES):
        chunk = examples[start : start + CHUNK_EXAMPLES]
        rows = [
            replace(feature, example_index=feature.example_index - start)
            for group in by_example[start : start + CHUNK_EXAMPLES]
            for feature in group
        ]
        outputs: list[Arrays] = [{}] * len(rows)
        for batch in _batches(rows, batch_size):
            feed = pad([rows[i] for i in batch], pad_token_id=pad_token_id)
            answer = runtime.run({name: feed[name] for name in runtime.inputs})
            for row, i in enumerate(batch):
                outputs[i] = _unpadded(answer, row, rows[i].length, feed["input_ids"].shape[1])
            done += len(batch)
            progress("answers", done, len(features))
        predictions += task.predict(outputs, rows, chunk)
        logits += [np.asarray(out["logits"], np.float32) for out in outputs if "logits" in out]
    return Answers(tuple(predictions), tuple(logits))


def _batches(features: Sequence[Feature], batch_size: int) -> list[list[int]]:
    order = sorted(range(len(features)), key=lambda i: features[i].length)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def _unpadded(
    outputs: Mapping[str, NDArray[np.generic]], row: int, length: int, padded: int
) -> dict[str, NDArray[np.generic]]:
    """Returns one row of each output, without the positions that were padding."""
    rows = {}
    for name, values in outputs.items():
        follows = name in SPAN_OUTPUTS or values.ndim >= 3
        trimmed = follows and values.shape[1] == padded
        rows[name] = np.array(values[row, :length] if trimmed else values[row])
    return rows
