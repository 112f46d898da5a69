"""Removes feed-forward neurons, in blocks as wide as matrix kernels like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.bert.pruning.importance import ScoreName
from bertcompress.bert.pruning.selection import Scope, check_fraction, keep_units
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
class PruneFfn:
    """Removes the least important feed-forward neurons of the whole model, or of each layer.

    Attributes:
        fraction: Of all neurons, the part to remove, [0, 1); rounded to whole blocks.
        examples: What importance is measured on; without any, the weights' size decides.
        score: ``fisher``, ``taylor``, ``magnitude`` or ``random``; None takes the best for what
            is given.
        scope: ``global`` ranks all layers together, ``layer`` removes the same part of each.
        multiple: Neurons leave in blocks of this many, so that widths stay multiples of it.
        samples: At most this many examples are used, drawn stratified.
        batch_size: Examples of one gradient.
        max_length: Longest text in tokens; None takes the model's, at most 512.
        seed: Draws the samples, and targets where the data has no labels.
    """

    fraction: float
    examples: tuple[Example, ...] = ()
    score: ScoreName | None = None
    scope: Scope = "global"
    multiple: int = 32
    samples: int = 512
    batch_size: int = 16
    max_length: int | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        check_fraction("ffn", self.fraction)
        check_choice("scope", self.scope, SCOPES)
        check_score(self.score, self.examples)
        check_counts(multiple=self.multiple, samples=self.samples, batch_size=self.batch_size)

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
        kept = keep_units(importance.ffn, self.fraction, scope=self.scope, multiple=self.multiple)
        result = replace(checkpoint, model=cut(checkpoint.model, ffn=kept))
        before = shape_of(checkpoint.model).layer_ffn
        rows = [
            {"layer": layer, "ffn_before": width, "ffn_after": len(stay)}
            for layer, (width, stay) in enumerate(zip(before, kept, strict=True))
        ]
        step = timer.step(
            "PruneFfn",
            settings_of(self),
            result,
            details={
                "layers": rows,
                "removed": f"{sum(before) - sum(map(len, kept))} of {sum(before)} neurons",
                "notes": [note_of(importance)],
            },
        )
        return replace(result, history=(*checkpoint.history, step))
