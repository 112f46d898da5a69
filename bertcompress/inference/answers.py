"""What an artifact answers, through the runtime that deploys it.

Features are run in batches of similar length, so that little padding is computed; the answers are
given back in the examples' order, and no task ever sees a padded position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bertcompress.examples import Example
from bertcompress.inference.best_settings import TOKEN_BUDGET
from bertcompress.inference.streams import Runs, Streams
from bertcompress.progress import Progress, silent
from bertcompress.tasks.base import Feature, Prediction, Task

CHUNK_EXAMPLES = 1024
"""So many examples are held at once: the vectors of an embedding task are large."""


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
    sort_by_length: bool = True,
    token_budget: int = TOKEN_BUDGET,
    pad_token_id: int = 0,
    progress: Progress = silent,
) -> Answers:
    """Runs all features and returns an answer for each example, in order.

    Args:
        runtime: What runs them, opened: one runtime, or several side by side.
        task: Turns outputs into answers.
        features: From `task.encode(tokenizer, examples)`.
        examples: What they were made from.
        batch_size: Features in a batch.
        sort_by_length: Whether features of similar length share a batch.
        token_budget: The most positions in a batch, padding too.
        pad_token_id: The tokenizer's padding token.
        progress: Is told how many features are done.
    """
    by_example: list[list[Feature]] = [[] for _ in examples]
    for feature in features:
        by_example[feature.example_index].append(feature)
    streams = runtime if isinstance(runtime, Streams) else Streams([runtime])
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
        outputs = streams.run_features(
            rows,
            batch_size=batch_size,
            sort_by_length=sort_by_length,
            token_budget=token_budget,
            pad_token_id=pad_token_id,
            finished=finished,
        )
        predictions += task.predict(outputs, rows, chunk)
        logits += [np.asarray(out["logits"], np.float32) for out in outputs if "logits" in out]
    return Answers(tuple(predictions), tuple(logits))
