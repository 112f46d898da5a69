"""The pass that writes a pruned model as a stock BERT, loaded by Transformers alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.bert.surgery import cut
from bertcompress.codec import from_plain
from bertcompress.errors import UsageError
from bertcompress.passes.prune.relayout import Relayout, RelayoutDetails


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
