"""Parameters and operations by widths: what the tables say is what models have."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.sizes import flops_table, parameters_table
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import cut

Tiny = Callable[..., Checkpoint]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")


@pytest.mark.parametrize("task", TASKS)
def test_parameters_are_those_of_the_pruned_model(task: str, tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint(task=task).model
    smaller = cut(model, heads=((0, 2), (1, 2, 3)), ffn=(tuple(range(40)), (3,)))
    shape = shape_of(smaller)

    predicted = parameters_table(model).predict(shape.layer_heads, shape.layer_ffn)

    assert predicted == sum(one.numel() for one in smaller.parameters())


@pytest.mark.parametrize("task", TASKS)
def test_operations_are_those_that_torch_counts(task: str, tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint(task=task).model
    ids = torch.randint(5, 60, (3, 16))
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": ids * 0,
    }
    shape = shape_of(model)

    predicted = flops_table(model, [Batch(inputs, {})]).predict(shape.layer_heads, shape.layer_ffn)

    # Attention as plain products, which torch counts on every platform.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model(**inputs)
    assert predicted == pytest.approx(counter.get_total_flops() / 3, rel=1e-6)
