"""Removes heads or feed-forward neurons by a score: rows and columns leave the matrices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.bert.pruning.importance import (
    SCORE_NAMES,
    SCORES_FROM_DATA,
    SCORES_FROM_INPUTS,
    Importance,
    ScoreName,
    from_data,
    from_weights,
)
from bertcompress.bert.pruning.importance_from_inputs import from_inputs
from bertcompress.bert.pruning.selection import Kept, Scope, check_fraction, keep_units
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import cut
from bertcompress.errors import UsageError
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.samples import batches_for
from bertcompress.passes.settings import Need, check_choice, check_counts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SCOPES = ("global", "layer")


@dataclass(frozen=True)
class HeadsRow:
    """A layer's heads before and after, and the numbers of those removed."""

    layer: int
    heads_before: int
    heads_after: int
    removed_heads: str


@dataclass(frozen=True)
class FfnRow:
    """A layer's neurons before and after."""

    layer: int
    ffn_before: int
    ffn_after: int


@dataclass(frozen=True)
class HeadsDetails:
    """What the removal of heads tells: each layer, how many are gone, what the scores rest on."""

    layers: tuple[HeadsRow, ...]
    removed: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class FfnDetails:
    """What the removal of neurons tells, as that of heads."""

    layers: tuple[FfnRow, ...]
    removed: str
    notes: tuple[str, ...]


UnitsDetails = HeadsDetails | FfnDetails


@dataclass(frozen=True)
class PruneUnits(Pass[Checkpoint, Checkpoint]):
    """What `PruneHeads` and `PruneFfn` share.

    Attributes:
        fraction: Of all units, the part to remove, [0, 1); rounded to whole heads or blocks.
        score: ``fisher``, ``taylor``, ``wanda``, ``obs``, ``magnitude`` or ``random``; None takes
            ``fisher`` where there are examples, and ``magnitude`` where there are none.
        scope: ``global`` ranks all layers together, ``layer`` removes the same part of each.
        samples: At most this many examples are used, drawn stratified.
        batch_size: Examples of one gradient.
        max_length: Longest text in tokens; None takes the model's, at most 512.
        seed: Draws the samples, and targets where the data has no labels.
    """

    fraction: float
    score: ScoreName | None = None
    scope: Scope = "global"
    samples: int = 512
    batch_size: int = 16
    max_length: int | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        check_choice("scope", self.scope, SCOPES)
        if self.score is not None:
            check_choice("score", self.score, SCORE_NAMES)
        check_counts(samples=self.samples, batch_size=self.batch_size)

    @property
    def needs(self) -> tuple[Need, ...]:
        """The examples, unless the weights alone decide."""
        return ("examples",) if self.score is None or self.score in SCORES_FROM_DATA else ()

    def check(self, context: Context) -> None:
        """Refuses a score that is measured on data where there is none."""
        if self.score in SCORES_FROM_DATA and not context.has_examples:
            raise UsageError(
                f"score {self.score!r} is measured on data and none was given; add --data, or take "
                "magnitude, which needs none"
            )

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, UnitsDetails]:
        """Returns the smaller checkpoint.

        Raises:
            DataError: If the examples do not fit the task or the model's labels.
        """
        importance = self._importance(checkpoint, context)
        model, details = self._cut(checkpoint.model, importance)
        return replace(checkpoint, model=model), details

    @abstractmethod
    def _cut(
        self, model: PreTrainedModel, importance: Importance
    ) -> tuple[PreTrainedModel, UnitsDetails]:
        """Removes the units that matter least."""

    def _importance(self, checkpoint: Checkpoint, context: Context) -> Importance:
        """Scores heads and neurons: on the examples if there are any, else by their weights."""
        best: ScoreName = "fisher" if context.has_examples else "magnitude"
        score = self.score or best
        if score not in SCORES_FROM_DATA:
            return from_weights(checkpoint.model, score=score, seed=self.seed)
        batches = batches_for(
            checkpoint,
            context.fitted,
            samples=self.samples,
            batch_size=self.batch_size,
            max_length=self.max_length,
            seed=self.seed,
        )
        measure = from_inputs if score in SCORES_FROM_INPUTS else from_data
        return measure(
            checkpoint.model, batches, score=score, seed=self.seed, progress=context.progress
        )


@dataclass(frozen=True)
class PruneHeads(PruneUnits):
    """Removes the least important heads of the whole model, or of each layer.

    Attributes:
        allow_empty_layers: Whether a layer may lose all its heads; else it keeps its best.
    """

    allow_empty_layers: bool = False

    def __post_init__(self) -> None:
        check_fraction("heads", self.fraction)
        super().__post_init__()

    def _cut(
        self, model: PreTrainedModel, importance: Importance
    ) -> tuple[PreTrainedModel, HeadsDetails]:
        minimum = 0 if self.allow_empty_layers else 1
        kept = keep_units(importance.heads, self.fraction, scope=self.scope, minimum=minimum)
        before = shape_of(model).layer_heads
        rows = tuple(
            HeadsRow(
                layer,
                count,
                len(stay),
                ", ".join(str(head) for head in range(count) if head not in stay),
            )
            for layer, (count, stay) in enumerate(zip(before, kept, strict=True))
        )
        removed = _removed(before, kept, "heads")
        return cut(model, heads=kept), HeadsDetails(rows, removed, (_note(importance),))


@dataclass(frozen=True)
class PruneFfn(PruneUnits):
    """Removes the least important feed-forward neurons of the whole model, or of each layer.

    Attributes:
        multiple: Neurons leave in blocks of this many, so that widths stay multiples of it, as
            matrix kernels like them.
    """

    multiple: int = 32

    def __post_init__(self) -> None:
        check_fraction("ffn", self.fraction)
        super().__post_init__()
        check_counts(multiple=self.multiple)

    def _cut(
        self, model: PreTrainedModel, importance: Importance
    ) -> tuple[PreTrainedModel, FfnDetails]:
        kept = keep_units(importance.ffn, self.fraction, scope=self.scope, multiple=self.multiple)
        before = shape_of(model).layer_ffn
        rows = tuple(
            FfnRow(layer, width, len(stay))
            for layer, (width, stay) in enumerate(zip(before, kept, strict=True))
        )
        removed = _removed(before, kept, "neurons")
        return cut(model, ffn=kept), FfnDetails(rows, removed, (_note(importance),))


def _removed(before: Sequence[int], kept: Kept, units: str) -> str:
    return f"{sum(before) - sum(map(len, kept))} of {sum(before)} {units}"


def _note(importance: Importance) -> str:
    """Returns the sentence that says what the scores rest on."""
    if importance.samples:
        return f"importance: {importance.score} over {importance.samples} samples"
    return f"importance: {importance.score} of the weights, no data"
