"""Removes attention heads: their rows and columns leave the matrices, and the time with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.bert.pruning.importance import ScoreName
from bertcompress.bert.pruning.selection import Kept, Scope, check_fraction, keep_units
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import cut
from bertcompress.examples import Example
from bertcompress.passes.base import checkpoint_for, settings_of
from bertcompress.passes.prune.pruned import (
    SCOPES,
    check_choice,
    check_counts,
    check_score,
    importance_of,
    note_of,
)
from bertcompress.progress import Progress, silent


@dataclass(frozen=True)
class PruneHeads:
    """Removes the least important heads of the whole model, or of each layer.

    Attributes:
        fraction: Of all heads, the part to remove, [0, 1); rounded to whole heads.
        examples: What importance is measured on; without any, the weights' size decides.
        score: ``fisher``, ``taylor``, ``magnitude`` or ``random``; None takes the best for what
            is given.
        scope: ``global`` ranks all layers together, ``layer`` removes the same part of each.
        allow_empty_layers: Whether a layer may lose all its heads; else it keeps its best.
        samples: At most this many examples are used, drawn stratified.
        batch_size: Examples of one gradient.
        max_length: Longest text in tokens; None takes the model's, at most 512.
        seed: Draws the samples, and targets where the data has no labels.
    """

    fraction: float
    examples: tuple[Example, ...] = ()
    score: ScoreName | None = None
    scope: Scope = "global"
    allow_empty_layers: bool = False
    samples: int = 512
    batch_size: int = 16
    max_length: int | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        check_fraction("heads", self.fraction)
        check_choice("scope", self.scope, SCOPES)
        check_score(self.score, self.examples)
        check_counts(samples=self.samples, batch_size=self.batch_size)

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        """Returns the smaller checkpoint.

        Raises:
            PassError: If the artifact is a graph.
            DataError: If the examples do not fit the task or the model's labels.
        """
        checkpoint = checkpoint_for(self, artifact)
        timer = StepTimer(checkpoint)
        importance = importance_of(
            checkpoint,
            self.examples,
            score=self.score,
            samples=self.samples,
            batch_size=self.batch_size,
            max_length=self.max_length,
            seed=self.seed,
            progress=progress,
        )
        kept = keep_units(
            importance.heads,
            self.fraction,
            scope=self.scope,
            minimum=0 if self.allow_empty_layers else 1,
        )
        result = replace(checkpoint, model=cut(checkpoint.model, heads=kept))
        before = shape_of(checkpoint.model).layer_heads
        step = timer.step(
            "PruneHeads",
            settings_of(self),
            result,
            details={
                "layers": _table(before, kept),
                "removed": f"{sum(before) - sum(map(len, kept))} of {sum(before)} heads",
                "notes": [note_of(importance)],
            },
        )
        return replace(result, history=(*checkpoint.history, step))


def _table(before: tuple[int, ...], kept: Kept) -> list[dict[str, object]]:
    return [
        {
            "layer": layer,
            "heads_before": count,
            "heads_after": len(stay),
            "removed_heads": ", ".join(str(head) for head in range(count) if head not in stay),
        }
        for layer, (count, stay) in enumerate(zip(before, kept, strict=True))
    ]
