"""Writes a model with unequal layers as a stock one, by zeros in the place of what is not there.

A head whose output columns are zero adds nothing, and neither does a neuron (``gelu(0) = 0``), so
the answers are the same. ``dense`` has the widths from before pruning; ``uniform`` has all heads
and, in every layer, as many neurons as the widest one: a stock model that is faster too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bertcompress.bert.families import family_of
from bertcompress.bert.structure import EncoderShape, shape_of
from bertcompress.bert.surgery import blank

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def stock_layout(model: PreTrainedModel, *, uniform: bool = False) -> PreTrainedModel:
    """Returns a stock model with the same answers; the given model is left as it was.

    Args:
        model: Stock or pruned.
        uniform: Whether neurons are padded to the widest layer only, not to the original width.
    """
    import torch

    shape = shape_of(model)
    config: Any = model.config
    heads = shape.hidden_size // shape.head_size
    width = max(1, *shape.layer_ffn) if uniform else getattr(config, family_of(config).ffn_field)
    wide = EncoderShape(
        (heads,) * shape.layers, (width,) * shape.layers, shape.head_size, shape.hidden_size
    )
    made = blank(model, wide)
    weights = dict(model.state_dict())
    with torch.no_grad():
        for name, place in made.state_dict().items():
            own = weights.get(name)
            place.zero_()
            if own is not None:
                place[tuple(slice(0, size) for size in own.shape)] = own
    return made
