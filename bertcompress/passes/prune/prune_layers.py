"""Removes whole layers: one after the other the layer whose absence changes the answers least.

The change is measured, not guessed: the model runs without the layer, and its outputs are compared
with those of the full model by mean squared difference over real texts. No labels are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import cut
from bertcompress.errors import UsageError
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.samples import batches_for
from bertcompress.passes.settings import Need, check_counts
from bertcompress.runtimes.torch.runtime import OUTPUT_NAMES

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Outputs = list[list["torch.Tensor"]]


@dataclass(frozen=True)
class RemovedLayer:
    """A layer that left.

    Attributes:
        order: When, from 1.
        layer: Its number in the model as it was.
        output_change: The mean squared difference of the outputs without it, and without those
            that left before.
    """

    order: int
    layer: int
    output_change: float


@dataclass(frozen=True)
class LayersDetails:
    """What the removal of layers tells: which left, and how many there are now."""

    removed_layers: tuple[RemovedLayer, ...]
    layers_after: int


@dataclass(frozen=True)
class PruneLayers(Pass[Checkpoint, Checkpoint]):
    """Removes whole layers, the least missed first.

    Attributes:
        count: Number of layers to remove.
        samples: At most this many examples are used, drawn stratified.
        batch_size: Examples of one run.
        max_length: Longest text in tokens; None takes the model's, at most 512.
        seed: Draws the samples.
    """

    count: int
    samples: int = 256
    batch_size: int = 16
    max_length: int | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        if self.count < 0:
            raise UsageError(f"layers is the number of layers to remove, got {self.count}")
        check_counts(samples=self.samples, batch_size=self.batch_size)

    @property
    def needs(self) -> tuple[Need, ...]:
        """The texts on which the change is measured."""
        return ("examples",) if self.count else ()

    def check(self, context: Context) -> None:
        """Refuses a run without texts."""
        if self.count and not context.has_examples:
            raise UsageError("removing layers is measured on data and none was given; add --data")

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, LayersDetails]:
        """Returns the shallower checkpoint.

        Raises:
            UsageError: If no layer would be left.
            DataError: If the examples do not fit the task or the model's labels.
        """
        layers = shape_of(checkpoint.model).layers
        if self.count >= layers:
            raise UsageError(
                f"layers must be below the model's {layers}, got {self.count}; "
                "it is the number of layers to remove"
            )
        removed = self._removed(checkpoint, layers, context) if self.count else ()
        gone = {row.layer for row in removed}
        stay = [layer for layer in range(layers) if layer not in gone]
        model = cut(checkpoint.model, layers=stay)
        return replace(checkpoint, model=model), LayersDetails(removed, len(stay))

    def _removed(
        self, checkpoint: Checkpoint, layers: int, context: Context
    ) -> tuple[RemovedLayer, ...]:
        """Chooses the layers that leave, in order."""
        batches = batches_for(
            checkpoint,
            context.fitted,
            samples=self.samples,
            batch_size=self.batch_size,
            max_length=self.max_length,
            seed=self.seed,
        )
        reference = _outputs(checkpoint.model, batches)
        stay = list(range(layers))
        rows: list[RemovedLayer] = []
        total = sum(layers - removed for removed in range(self.count))
        done = 0
        for order in range(self.count):
            changes = {}
            for candidate in stay:
                without = [layer for layer in stay if layer != candidate]
                model = cut(checkpoint.model, layers=without)
                changes[candidate] = _change(reference, _outputs(model, batches))
                done += 1
                context.progress("layers", done, total)
            least = min(changes, key=lambda layer: (changes[layer], layer))
            stay.remove(least)
            rows.append(RemovedLayer(order + 1, least, changes[least]))
        return tuple(rows)


def _outputs(model: PreTrainedModel, batches: Sequence[Batch]) -> Outputs:
    import torch

    outputs: Outputs = []
    with torch.inference_mode():
        for batch in batches:
            answer = batch.answers(model)
            mask = batch.inputs["attention_mask"].bool()
            given = [(name, answer[name]) for name in OUTPUT_NAMES if name in answer]
            outputs.append(
                [
                    values[mask] if values.shape[:2] == mask.shape else values
                    for name, values in given
                ]
            )
    return outputs


def _change(reference: Outputs, candidate: Outputs) -> float:
    """Returns the mean squared difference over all values."""
    total, count = 0.0, 0
    for expected, got in zip(reference, candidate, strict=True):
        for a, b in zip(expected, got, strict=True):
            total += float(((a - b).double() ** 2).sum())
            count += a.numel()
    return total / max(count, 1)
