"""An encoder run one sub-layer after the other gives what the model gives."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.sublayers import UNITS, enter, first_calls, leave
from fixtures.batches import drawn_batches

Tiny = Callable[..., Checkpoint]


def states(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        found = model(**batch.inputs, output_hidden_states=True).hidden_states[-1]
    real: torch.Tensor = found[batch.inputs["attention_mask"].bool()]
    return real


def test_sub_layer_by_sub_layer_gives_what_the_model_gives(
    task: str, tiny_checkpoint: Tiny
) -> None:
    model, probe = tiny_checkpoint(task=task).model, drawn_batches(1)[0]
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
