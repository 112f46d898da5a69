"""Sub-layers run one by one: together they are the model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.sublayers import UNITS, enter, first_calls, leave

Tiny = Callable[..., Checkpoint]
Batches = Callable[..., list[Batch]]
States = Callable[[torch.nn.Module, Batch], torch.Tensor]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")


@pytest.mark.parametrize("task", TASKS)
def test_sub_layer_by_sub_layer_gives_what_the_model_gives(
    task: str, tiny_checkpoint: Tiny, batches: Batches, states: States
) -> None:
    model, probe = tiny_checkpoint(task=task).model, batches(1)[0]
    encoder = getattr(model, model.base_model_prefix, model).encoder

    [call] = first_calls(model, [probe])
    hidden = call.hidden
    with torch.no_grad():
        for layer in encoder.layer:
            for unit in UNITS:
                inputs, residual = enter(layer, unit, hidden, call)
                assert torch.equal(residual, hidden)
                hidden = leave(layer, unit, inputs, residual)

    real = probe.inputs["attention_mask"].bool()
    assert torch.allclose(hidden[real], states(model, probe), atol=1e-6)
