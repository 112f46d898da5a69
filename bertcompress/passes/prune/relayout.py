"""Writes a pruned model as a stock BERT, for programs that load nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.bert.layout import stock_layout
from bertcompress.bert.structure import shape_of
from bertcompress.passes.base import checkpoint_for, settings_of
from bertcompress.passes.prune.pruned import check_choice
from bertcompress.progress import Progress, silent

Layout = Literal["dense", "uniform"]


@dataclass(frozen=True)
class Relayout:
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

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        """Returns the stock checkpoint.

        Raises:
            PassError: If the artifact is a graph.
        """
        checkpoint = checkpoint_for(self, artifact)
        timer = StepTimer(checkpoint)
        progress("layout", 0, 1)
        model = stock_layout(checkpoint.model, uniform=self.layout == "uniform")
        result = replace(checkpoint, model=model)
        before, after = shape_of(checkpoint.model), shape_of(model)
        rows = [
            {
                "layer": layer,
                "heads_before": before.layer_heads[layer],
                "heads_after": after.layer_heads[layer],
                "ffn_before": before.layer_ffn[layer],
                "ffn_after": after.layer_ffn[layer],
            }
            for layer in range(before.layers)
        ]
        step = timer.step("Relayout", settings_of(self), result, details={"layers": rows})
        progress("layout", 1, 1)
        return replace(result, history=(*checkpoint.history, step))
