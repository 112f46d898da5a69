"""Texts for one-shot pruning, as token numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bertcompress.bert.batch_losses import Batch


@pytest.fixture
def batches() -> Callable[..., list[Batch]]:
    """Gives ``batches(count, seed=…)``: four texts each, the first one shorter."""

    def make(count: int = 6, *, seed: int = 0) -> list[Batch]:
        generator = torch.Generator().manual_seed(seed)
        drawn = []
        for number in range(count):
            ids = torch.randint(5, 60, (4, 9), generator=generator)
            mask = torch.ones_like(ids)
            mask[0, 5:] = 0
            inputs = {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": ids * 0}
            drawn.append(Batch(inputs, {}, held_out=number % 5 == 1))
        return drawn

    return make


@pytest.fixture
def states() -> Callable[[torch.nn.Module, Batch], torch.Tensor]:
    """Gives ``states(model, batch)``: the last hidden states of the real tokens."""

    def run(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            hidden = model(**batch.inputs, output_hidden_states=True).hidden_states[-1]
        real: torch.Tensor = hidden[batch.inputs["attention_mask"].bool()]
        return real

    return run
