"""The configuration that goes beside a graph: a stock one, which every tool can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from bertcompress.bert.families import family_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

_OWN_FIELDS = ("model_type", "auto_map", "layer_heads", "layer_ffn", "head_size")


def stock_config(model: PreTrainedModel) -> PreTrainedConfig:
    """Returns a stock configuration with the model's labels, lengths and vocabulary.

    The numbers of heads and neurons in it are those of the unpruned model: a graph carries its own.
    """
    import transformers

    stock: Any = getattr(transformers, f"{family_of(model.config).prefix}Config")
    fields = {key: value for key, value in model.config.to_dict().items() if key not in _OWN_FIELDS}
    fields["architectures"] = [type(model).__name__.removeprefix("Pruned")]
    return cast("PreTrainedConfig", stock(**fields))
