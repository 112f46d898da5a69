"""Which examples passes measure on, and what becomes of them on the way into a model.

**Drawn by length** (`draw_samples`), where ranges are found: long texts and every class must be
there in their proportions, as tokens at late positions and words of a rare class take values of
their own. The examples are ordered by length and cut into ten bands of as many examples each; every
band gives as many samples, stratified by class as `bertcompress.data.sample` does it. Draw from the
data that the model was trained on, never from the split that its accuracy is reported on.

    >>> from bertcompress.examples import TextExample
    >>> rows = [TextExample(f"t:{i}", "x" * i, label="ab"[i % 2]) for i in range(100)]
    >>> [row.id for row in draw_samples(rows, 4, seed=0)]
    ['t:22', 't:47', 't:56', 't:87']

**As torch batches** (`batches_for`), where weights are fitted: similar lengths together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.families import input_names, pad_token_of
from bertcompress.bert.pooling import pooling_module
from bertcompress.data.partition import sample
from bertcompress.errors import UsageError
from bertcompress.examples import Example, QuestionExample, TextExample
from bertcompress.inference.deployed import length_for, task_for
from bertcompress.inference.texts import similar_lengths
from bertcompress.tasks import Feature, pad, pad_targets
from bertcompress.tasks.sentence_embedding import SentenceEmbedding

if TYPE_CHECKING:
    import torch


BANDS = 10
"""Of equal numbers of examples, by length."""


def draw_samples(examples: Sequence[Example], count: int, *, seed: int) -> tuple[Example, ...]:
    """Returns `count` of the examples (all, if there are no more), the shortest first.

    Args:
        examples: What to draw from.
        count: How many, 1 or more.
        seed: Decides which.

    Raises:
        UsageError: The count is less than 1.
    """
    if count < 1:
        raise UsageError(f"samples must be 1 or more, got {count}; type 300")
    by_length = sorted(examples, key=_characters)
    if count >= len(by_length):
        return tuple(by_length)
    bands = min(BANDS, count)
    drawn: list[Example] = []
    start = 0
    sizes, quotas = _even_parts(len(by_length), bands), _even_parts(count, bands)
    for number, (size, quota) in enumerate(zip(sizes, quotas, strict=True)):
        band = by_length[start : start + size]
        drawn += sample(band, quota, seed=seed * BANDS + number)
        start += size
    return tuple(drawn)


def features_for(
    checkpoint: Checkpoint, examples: Sequence[Example], *, max_length: int | None
) -> list[Feature]:
    """Checks the examples against the task and tokenizes them, in order, for the model's inputs.

    Raises:
        DataError: If they do not fit the task or the model's labels.
    """
    task = task_for(checkpoint)
    task.check(examples)
    longest = length_for(checkpoint, max_length)
    taken = input_names(checkpoint.config)
    return [
        replace(feature, inputs={name: feature.inputs[name] for name in taken})
        for feature in task.encode(checkpoint.tokenizer, examples, max_length=longest)
    ]


def batches_for(
    checkpoint: Checkpoint,
    examples: Sequence[Example],
    *,
    samples: int,
    batch_size: int,
    max_length: int | None,
    seed: int,
) -> list[Batch]:
    """Draws examples (stratified, seeded) and returns them in batches of similar length.

    Raises:
        DataError: If they do not fit the task or the model's labels.
    """
    drawn = sample(tuple(examples), min(samples, len(examples)), seed=seed)
    features = features_for(checkpoint, drawn, max_length=max_length)
    pad_token_id = pad_token_of(checkpoint.tokenizer)
    batches = [
        torch_batch(batch, pad_token_id=pad_token_id)
        for batch in similar_lengths(features, batch_size)
    ]
    task = task_for(checkpoint)
    if not isinstance(task, SentenceEmbedding):
        return batches
    return [replace(one, pool=_pool_of(task, one, features[0].prompt)) for one in batches]


def _pool_of(
    task: SentenceEmbedding, batch: Batch, prompt: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Returns what makes vectors of a batch's token vectors; the prompt's may not count."""
    pooling, counted = pooling_module(task), batch.inputs["attention_mask"].clone()
    counted[:, :prompt] = 0

    def pool(states: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = pooling(states, counted)
        return vectors

    return pool


def torch_batch(features: Sequence[Feature], *, pad_token_id: int) -> Batch:
    """Pads features into one batch; targets only where every feature has them."""
    inputs = pad(features, pad_token_id=pad_token_id)
    has_targets = all(feature.targets for feature in features)
    length = inputs["input_ids"].shape[1]
    targets = pad_targets(features, length=length) if has_targets else {}
    return Batch(
        {name: _tensor(values) for name, values in inputs.items()},
        {name: _tensor(values) for name, values in targets.items()},
    )


def _tensor(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values))


def _even_parts(total: int, parts: int) -> list[int]:
    """Returns sizes that differ by one at most and sum to the total, the larger ones first."""
    size, left_over = divmod(total, parts)
    return [size + (number < left_over) for number in range(parts)]


def _characters(example: Example) -> int:
    """Measures an example before it is tokenized."""
    if isinstance(example, TextExample):
        return len(example.text) + len(example.text_pair or "")
    if isinstance(example, QuestionExample):
        return len(example.question) + len(example.context)
    return sum(len(word) + 1 for word in example.words)
