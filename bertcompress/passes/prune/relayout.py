"""Writes a pruned model as a stock BERT, for programs that load nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.bert.layout import stock_layout
from bertcompress.bert.structure import shape_of
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.prune.details import WidthsRow
from bertcompress.passes.settings import check_choice

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
        before, after = shape_of(checkpoint.model), shape_of(model)
        rows = tuple(
            WidthsRow(
                layer,
                before.layer_heads[layer],
                after.layer_heads[layer],
                before.layer_ffn[layer],
                after.layer_ffn[layer],
            )
            for layer in range(before.layers)
        )
        context.progress("layout", 1, 1)
        return replace(checkpoint, model=model), RelayoutDetails(rows)
