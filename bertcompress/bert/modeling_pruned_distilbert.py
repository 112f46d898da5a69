"""DistilBERT with unequal layers.

A copy of this file lies in the folder of such a model, beside one of `modeling_pruned_bert`, which
holds what families share and says how such folders are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import (
    DistilBertConfig,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    DistilBertModel,
)

from .modeling_pruned_bert import BiasOnly, take_widths


class PrunedDistilBertConfig(DistilBertConfig):
    """A DistilBertConfig with the widths that each layer has left; see `PrunedBertConfig`."""

    model_type = "pruned_distilbert"

    def __init__(
        self,
        layer_heads: Sequence[int] | None = None,
        layer_ffn: Sequence[int] | None = None,
        head_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        take_widths(self, layer_heads, layer_ffn, head_size, ffn=self.hidden_dim)


class NoSelfAttention(nn.Module):
    """Stands for the attention of a layer without heads: only its output bias is left."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.out_lin = BiasOnly(features)

    def forward(
        self, hidden_states: torch.Tensor | None = None, *_: Any, **inputs: Any
    ) -> tuple[torch.Tensor, None]:
        """Returns the bias, ``[hidden]``, and no attention weights.

        Transformers 4.57 calls the input ``query``, 5.x ``hidden_states``.
        """
        given = inputs["query"] if hidden_states is None else hidden_states
        return self.out_lin(given), None


class NoFfn(nn.Module):
    """Stands for the FFN of a layer without neurons: only its output bias is left."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.lin2 = BiasOnly(features)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Returns the bias, ``[hidden]``."""
        bias: torch.Tensor = self.lin2(hidden_states)
        return bias


def resize_block(layer: nn.Module, *, heads: int, ffn: int, head_size: int) -> None:
    """Gives a stock layer new matrices with the widths asked for, in place.

    Args:
        layer: A `TransformerBlock`.
        heads: Heads to have, 0 or more.
        ffn: FFN neurons to have, 0 or more.
        head_size: The width of one head.
    """
    block: Any = layer
    hidden, width = block.attention.out_lin.out_features, heads * head_size
    if heads == 0:
        block.attention = NoSelfAttention(hidden)
    else:
        block.attention.q_lin = nn.Linear(hidden, width)
        block.attention.k_lin = nn.Linear(hidden, width)
        block.attention.v_lin = nn.Linear(hidden, width)
        block.attention.out_lin = nn.Linear(width, hidden)
        block.attention.n_heads = heads
        block.attention.dim = width  # Transformers 4.57 divides it by the number of heads
        block.attention.attention_head_size = head_size
        block.attention.scaling = head_size**-0.5
    if ffn == 0:
        block.ffn = NoFfn(hidden)
    else:
        block.ffn.lin1 = nn.Linear(hidden, ffn)
        block.ffn.lin2 = nn.Linear(ffn, hidden)


def resize_blocks(model: Any, config: Any) -> None:
    """Gives a stock model's layers the configuration's widths, and new weights, in place."""
    encoder = getattr(model, model.base_model_prefix, model).transformer
    for layer, heads, ffn in zip(encoder.layer, config.layer_heads, config.layer_ffn, strict=True):
        resize_block(layer, heads=heads, ffn=ffn, head_size=config.head_size)
    model.post_init()


class UnequalBlocks(nn.Module):
    """What makes a stock DistilBERT unequal: the base before it; takes what the stock one takes."""

    def __init__(self, config: Any, **arguments: Any) -> None:
        super().__init__(config, **arguments)
        resize_blocks(self, config)


class PrunedDistilBertModel(UnequalBlocks, DistilBertModel):
    """`DistilBertModel` with unequal layers."""

    config_class = PrunedDistilBertConfig


class PrunedDistilBertForSequenceClassification(UnequalBlocks, DistilBertForSequenceClassification):
    """`DistilBertForSequenceClassification` with unequal layers."""

    config_class = PrunedDistilBertConfig


class PrunedDistilBertForTokenClassification(UnequalBlocks, DistilBertForTokenClassification):
    """`DistilBertForTokenClassification` with unequal layers."""

    config_class = PrunedDistilBertConfig


class PrunedDistilBertForQuestionAnswering(UnequalBlocks, DistilBertForQuestionAnswering):
    """`DistilBertForQuestionAnswering` with unequal layers."""

    config_class = PrunedDistilBertConfig
