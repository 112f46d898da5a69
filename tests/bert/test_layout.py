"""A pruned model as a stock BERT gives the same answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.layout import stock_layout
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import cut

Tiny = Callable[..., Checkpoint]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")
OUTPUTS = ("logits", "start_logits", "end_logits", "last_hidden_state")


def answers(model: torch.nn.Module) -> list[torch.Tensor]:
    ids = torch.arange(5, 21).reshape(2, 8)
    with torch.no_grad():
        found = model(ids)
    return [found[name] for name in OUTPUTS if name in found]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("uniform", "width"), [(True, 24), (False, 64)])
def test_the_answers_are_the_same(
    task: str, uniform: bool, width: int, tiny_checkpoint: Tiny
) -> None:
    heads, ffn = ((), (1, 3)), (tuple(range(24)), ())
    smaller = cut(tiny_checkpoint(task=task).model, heads=heads, ffn=ffn)

    stock = stock_layout(smaller, uniform=uniform)

    assert not type(stock).__name__.startswith("Pruned")
    assert shape_of(stock).layer_heads == (4, 4)
    assert shape_of(stock).layer_ffn == (width, width)
    for one, two in zip(answers(smaller), answers(stock), strict=True):
        assert torch.allclose(one, two, atol=1e-6)
