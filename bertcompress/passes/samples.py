"""Examples as padded torch batches, for passes that measure on data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.families import cut_length, input_names, pad_token_of
from bertcompress.bert.pruning.importance import Batch
from bertcompress.data.partition import sample
from bertcompress.examples import Example
from bertcompress.tasks import Feature, make_task, pad, pad_targets

if TYPE_CHECKING:
    import torch


def features_for(
    checkpoint: Checkpoint, examples: Sequence[Example], *, max_length: int | None
) -> list[Feature]:
    """Checks the examples against the task and tokenizes them, in order, for the model's inputs.

    Raises:
        DataError: If they do not fit the task or the model's labels.
    """
    task = make_task(checkpoint.task, checkpoint.config)
    task.check(examples)
    longest = max_length or cut_length(checkpoint.config)
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
    ordered = sorted(features, key=lambda feature: feature.length)
    pad_token_id = pad_token_of(checkpoint.tokenizer)
    return [
        torch_batch(ordered[start : start + batch_size], pad_token_id=pad_token_id)
        for start in range(0, len(ordered), batch_size)
    ]


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
