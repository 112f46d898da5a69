"""A BERT whose layers have unequal numbers of heads and FFN neurons.

Stock `BertConfig` can't describe such a model: its head size is ``hidden_size /
num_attention_heads`` and every layer has the same widths. `PrunedBertConfig` adds the numbers that
each layer has left; the models build a stock BERT and put smaller matrices in its place, so that
Transformers' own forward code runs unchanged. A layer without heads (or neurons) adds only its
bias and keeps its LayerNorm.

This file needs nothing but torch and Transformers (4.57 or 5.x): a copy of it lies in the folder
of every pruned model, and ``auto_map`` in its ``config.json`` names it, so that
``AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)`` works
where bertcompress is not installed. With ``import bertcompress`` no trust is needed. Other families
have a file of their own beside it, which imports this one by a relative import: Transformers copies
and follows that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)


def take_widths(
    config: Any,
    layer_heads: Sequence[int] | None,
    layer_ffn: Sequence[int] | None,
    head_size: int | None,
    *,
    ffn: int,
) -> None:
    """Writes the widths of each layer into a configuration, all of them where none are given.

    Args:
        config: Made so far as a stock configuration.
        layer_heads: As in `PrunedBertConfig`.
        layer_ffn: As there.
        head_size: As there.
        ffn: The FFN width of the stock configuration.

    Raises:
        ValueError: If the numbers are not one for each layer.
    """
    layers = config.num_hidden_layers
    config.layer_heads = list(layer_heads or [config.num_attention_heads] * layers)
    config.layer_ffn = list(layer_ffn or [ffn] * layers)
    config.head_size = head_size or config.hidden_size // config.num_attention_heads
    if not len(config.layer_heads) == len(config.layer_ffn) == layers:
        raise ValueError(
            f"layer_heads and layer_ffn must have one number for each of the {layers} layers, "
            f"got {len(config.layer_heads)} and {len(config.layer_ffn)}"
        )


class PrunedBertConfig(BertConfig):
    """A BertConfig with the widths that each layer has left.

    Args:
        layer_heads: The number of attention heads of each layer; may be 0.
        layer_ffn: The number of FFN neurons of each layer; may be 0.
        head_size: The width of one head; that of the model before pruning.
        kwargs: As in `BertConfig`; ``num_attention_heads`` and ``intermediate_size`` keep the
            original model's values.
    """

    model_type = "pruned_bert"

    def __init__(
        self,
        layer_heads: Sequence[int] | None = None,
        layer_ffn: Sequence[int] | None = None,
        head_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        take_widths(self, layer_heads, layer_ffn, head_size, ffn=self.intermediate_size)


class BiasOnly(nn.Module):
    """Stands for a linear layer whose inputs are all gone: only its bias is left."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Returns the bias, ``[hidden]``; the input is not looked at."""
        return self.bias


class NoAttention(nn.Module):
    """Stands for the self-attention of a layer without heads; gives its input on."""

    def forward(self, hidden_states: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, None]:
        """Returns the input and no attention weights."""
        return hidden_states, None


class NoIntermediate(nn.Module):
    """Stands for the first FFN matrix of a layer without neurons; gives its input on."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Returns the input."""
        return hidden_states


def resize_layer(layer: nn.Module, *, heads: int, ffn: int, head_size: int) -> None:
    """Gives a stock layer shaped like BERT's new matrices with the widths asked for, in place.

    Args:
        layer: A `BertLayer`, `RobertaLayer`, `ElectraLayer`, ….
        heads: Heads to have, 0 or more.
        ffn: FFN neurons to have, 0 or more.
        head_size: The width of one head.
    """
    attention: Any = layer.attention
    hidden = attention.output.dense.out_features
    if heads == 0:
        attention.self = NoAttention()
        attention.output.dense = BiasOnly(hidden)
    else:
        width = heads * head_size
        attention.self.query = nn.Linear(hidden, width)
        attention.self.key = nn.Linear(hidden, width)
        attention.self.value = nn.Linear(hidden, width)
        attention.self.num_attention_heads = heads
        attention.self.attention_head_size = head_size
        attention.self.all_head_size = width
        attention.self.scaling = head_size**-0.5
        attention.output.dense = nn.Linear(width, hidden)
    block: Any = layer
    if ffn == 0:
        block.intermediate = NoIntermediate()
        block.output.dense = BiasOnly(hidden)
    else:
        block.intermediate.dense = nn.Linear(hidden, ffn)
        block.output.dense = nn.Linear(ffn, hidden)


def resize(model: Any, config: Any) -> None:
    """Gives a stock model's layers the configuration's widths, and new weights, in place."""
    encoder = getattr(model, model.base_model_prefix, model).encoder
    for layer, heads, ffn in zip(encoder.layer, config.layer_heads, config.layer_ffn, strict=True):
        resize_layer(layer, heads=heads, ffn=ffn, head_size=config.head_size)
    model.post_init()


class Unequal(nn.Module):
    """What makes a stock model unequal: the base before it; takes what the stock model takes."""

    def __init__(self, config: Any, **arguments: Any) -> None:
        super().__init__(config, **arguments)
        resize(self, config)


class PrunedBertModel(Unequal, BertModel):
    """`BertModel` with unequal layers."""

    config_class = PrunedBertConfig


class PrunedBertForSequenceClassification(Unequal, BertForSequenceClassification):
    """`BertForSequenceClassification` with unequal layers."""

    config_class = PrunedBertConfig


class PrunedBertForTokenClassification(Unequal, BertForTokenClassification):
    """`BertForTokenClassification` with unequal layers."""

    config_class = PrunedBertConfig


class PrunedBertForQuestionAnswering(Unequal, BertForQuestionAnswering):
    """`BertForQuestionAnswering` with unequal layers."""

    config_class = PrunedBertConfig
