"""Writes a pruned model as a stock one, by zeros in place of what is gone: any program loads it.

A head whose output columns are zero adds nothing, and neither does a neuron (``gelu(0) = 0``), so
the answers are the same. ``dense`` has the widths from before pruning; ``uniform`` has all heads
and, in every layer, as many neurons as the widest one: a stock model that is faster too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.bert.families import family_of
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import blank
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.prune.details import WidthsRow, widths_rows
from bertcompress.passes.settings import check_choice

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Layout = Literal["dense", "uniform"]


@dataclass(frozen=True)
class RelayoutDetails:
    """What another layout tells: each layer's widths before and after."""

    layers: tuple[WidthsRow, ...]


@dataclass(frozen=True)
class Relayout(Pass[Checkpoint, Checkpoint]):
    """Pads unequal layers with zeros; the answers are the same.

    Attributes:
        layout: ``dense``: the widths from before pruning, so nothing is smaller or faster.
            ``uniform``: all heads, and the neurons of the widest layer in each.
        seed: Not used; all passes have one.
    """

    layout: Layout = "uniform"
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        check_choice("layout", self.layout, get_args(Layout))

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, RelayoutDetails]:
        """Returns the stock checkpoint."""
        context.progress("layout", 0, 1)
        model = stock_layout(checkpoint.model, uniform=self.layout == "uniform")
        after = shape_of(model)
        rows = widths_rows(shape_of(checkpoint.model), after.layer_heads, after.layer_ffn)
        context.progress("layout", 1, 1)
        return replace(checkpoint, model=model), RelayoutDetails(rows)


def stock_layout(model: PreTrainedModel, *, uniform: bool = False) -> PreTrainedModel:
    """Returns a stock model with the same answers; the given model is left as it was.

    Args:
        model: Stock or pruned.
        uniform: Whether neurons are padded to the widest layer only, not to the original width.
    """
    import torch

    shape = shape_of(model)
    heads = shape.hidden_size // shape.head_size
    width = max(1, *shape.layer_ffn)
    if not uniform:
        width = getattr(model.config, family_of(model.config).ffn_field)
    stock = blank(
        model,
        replace(shape, layer_heads=(heads,) * shape.layers, layer_ffn=(width,) * shape.layers),
    )
    weights = model.state_dict()
    with torch.no_grad():
        for name, place in stock.state_dict().items():
            place.zero_()
            if name in weights:
                place[tuple(slice(0, size) for size in weights[name].shape)] = weights[name]
    return stock
