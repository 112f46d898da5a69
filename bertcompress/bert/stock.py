"""The configuration that goes beside a graph: a stock BERT's, which every tool can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import BertConfig, PreTrainedModel

_OWN_FIELDS = ("model_type", "auto_map", "layer_heads", "layer_ffn", "head_size")


def stock_config(model: PreTrainedModel) -> BertConfig:
    """Returns a stock `BertConfig` with the model's labels, lengths and vocabulary.

    The numbers of heads and neurons in it are those of the unpruned model: a graph carries its own.
    """
    from transformers import BertConfig

    fields = {key: value for key, value in model.config.to_dict().items() if key not in _OWN_FIELDS}
    fields["architectures"] = [type(model).__name__.removeprefix("Pruned")]
    return BertConfig(**fields)
