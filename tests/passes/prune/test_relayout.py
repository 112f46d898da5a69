"""The pass that writes a pruned model as a stock BERT, loaded by Transformers alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import cut
from bertcompress.codec import from_plain
from bertcompress.errors import UsageError
from bertcompress.passes.prune.relayout import Relayout, RelayoutDetails, stock_layout

Tiny = Callable[..., Checkpoint]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")
OUTPUTS = ("logits", "start_logits", "end_logits", "last_hidden_state")


def answers(model: torch.nn.Module) -> list[torch.Tensor]:
    ids = torch.arange(5, 21).reshape(2, 8)
    with torch.no_grad():
        found = model(ids)
    return [found[name] for name in OUTPUTS if name in found]


def test_transformers_alone_loads_it(
    tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    from transformers import BertForSequenceClassification

    whole = tiny_checkpoint()
    pruned = Checkpoint(
        cut(whole.model, heads=((0,), (1, 3)), ffn=(tuple(range(24)), tuple(range(8)))),
        whole.tokenizer,
        whole.task,
    )

    stock = Relayout("uniform")(pruned)

    folder = save(stock, tmp_path / "stock")
    assert not (folder / "modeling_pruned_bert.py").exists()
    loaded = BertForSequenceClassification.from_pretrained(folder).eval()
    ids = torch.arange(5, 21).reshape(2, 8)
    with torch.no_grad():
        assert torch.allclose(loaded(ids).logits, pruned.model(ids).logits, atol=1e-6)
    details = from_plain(RelayoutDetails, stock.history[-1].details)
    assert [row.ffn_after for row in details.layers] == [24, 24]


def test_a_layout_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="layout must be one of dense, uniform, got 'tight'"):
        Relayout("tight")  # type: ignore[arg-type]  # what a recipe may say


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
