"""Reads what Transformers 4 wrote after ``prune_heads``: stock class names, smaller matrices.

Such a folder has ``pruned_heads`` in its ``config.json``, the numbers of the heads removed from
each layer. Transformers 5 knows nothing of it: it refuses the sizes or, told to ignore them, fills
query, key and value with random numbers. Here the number of heads left is all that is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from bertcompress.bert.families import family_of, known_family
from bertcompress.bert.structure import EncoderShape
from bertcompress.bert.surgery import config_for
from bertcompress.errors import LoadError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def is_legacy(config: PreTrainedConfig) -> bool:
    """Tells whether heads were pruned by Transformers 4."""
    family = known_family(config.model_type)
    stock = family is not None and config.model_type == family.model_type
    return stock and bool(getattr(config, "pruned_heads", None))


def modern_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """Returns the configuration of the same model as a pruned one.

    Raises:
        LoadError: If ``pruned_heads`` names layers or heads that are not there.
    """
    facts = cast("Any", config)
    layers, heads = int(facts.num_hidden_layers), int(facts.num_attention_heads)
    left = _heads_left(facts.pruned_heads, layers=layers, heads=heads)
    if left is None:
        raise LoadError(
            f"pruned_heads in config.json does not fit {layers} layers of {heads} heads: "
            f"{facts.pruned_heads}; restore it from the original"
        )
    shape = EncoderShape(
        left,
        (int(getattr(facts, family_of(config).ffn_field)),) * layers,
        int(facts.hidden_size) // heads,
        int(facts.hidden_size),
    )
    return config_for(config, shape)[0]


def _heads_left(removed: object, *, layers: int, heads: int) -> tuple[int, ...] | None:
    """Returns each layer's number of heads, None if what was removed can't be meant."""
    if not isinstance(removed, Mapping):
        return None
    left = [heads] * layers
    try:
        for layer, numbers in removed.items():
            gone = {int(number) for number in numbers}
            if int(layer) < 0 or not gone <= set(range(heads)):
                return None
            left[int(layer)] = heads - len(gone)
    except (TypeError, ValueError, IndexError):
        return None
    return tuple(left)
