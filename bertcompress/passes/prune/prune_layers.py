"""Removes whole layers: one after the other the layer whose absence changes the answers least.

The change is measured, not guessed: the model runs without the layer, and its outputs are compared
with those of the full model by mean squared difference over real texts. No labels are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from bertcompress.artifacts.artifact import Artifact, Checkpoint, Kind, StepTimer
from bertcompress.bert.pruning.importance import Batch
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import cut
from bertcompress.errors import UsageError
from bertcompress.examples import Example
from bertcompress.passes.base import checkpoint_for, settings_of
from bertcompress.passes.prune.pruned import check_counts
from bertcompress.passes.samples import batches_for
from bertcompress.progress import Progress, silent
from bertcompress.runtimes.torch.runtime import OUTPUT_NAMES

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Outputs = list[list["torch.Tensor"]]


@dataclass(frozen=True)
class PruneLayers:
    """Removes whole layers, the least missed first.

    Attributes:
        count: Number of layers to remove.
        examples: The texts on which the change is measured.
        samples: At most this many examples are used, drawn stratified.
        batch_size: Examples of one run.
        max_length: Longest text in tokens; None takes the model's, at most 512.
        seed: Draws the samples.
    """

    count: int
    examples: tuple[Example, ...] = ()
    samples: int = 256
    batch_size: int = 16
    max_length: int | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        if self.count < 0:
            raise UsageError(f"layers is the number of layers to remove, got {self.count}")
        if self.count and not self.examples:
            raise UsageError("removing layers is measured on data and none was given; add --data")
        check_counts(samples=self.samples, batch_size=self.batch_size)

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> Checkpoint:
        """Returns the shallower checkpoint.

        Raises:
            PassError: If the artifact is a graph.
            UsageError: If no layer would be left.
            DataError: If the examples do not fit the task or the model's labels.
        """
        checkpoint = checkpoint_for(self, artifact)
        layers = shape_of(checkpoint.model).layers
        if self.count >= layers:
            raise UsageError(
                f"layers must be below the model's {layers}, got {self.count}; "
                "it is the number of layers to remove"
            )
        timer = StepTimer(checkpoint)
        stay, rows = self._choose(checkpoint, layers, progress) if self.count else (None, [])
        result = replace(checkpoint, model=cut(checkpoint.model, layers=stay))
        step = timer.step(
            "PruneLayers",
            settings_of(self),
            result,
            details={"removed_layers": rows, "layers_after": layers - self.count},
        )
        return replace(result, history=(*checkpoint.history, step))

    def _choose(
        self, checkpoint: Checkpoint, layers: int, progress: Progress
    ) -> tuple[list[int], list[dict[str, object]]]:
        batches = batches_for(
            checkpoint,
            self.examples,
            samples=self.samples,
            batch_size=self.batch_size,
            max_length=self.max_length,
            seed=self.seed,
        )
        reference = _outputs(checkpoint.model, batches)
        stay = list(range(layers))
        rows: list[dict[str, object]] = []
        total = sum(layers - removed for removed in range(self.count))
        done = 0
        for order in range(self.count):
            changes = {}
            for candidate in stay:
                without = [layer for layer in stay if layer != candidate]
                model = cut(checkpoint.model, layers=without)
                changes[candidate] = _change(reference, _outputs(model, batches))
                done += 1
                progress("layers", done, total)
            least = min(changes, key=lambda layer: (changes[layer], layer))
            stay.remove(least)
            rows.append({"order": order + 1, "layer": least, "output_change": changes[least]})
        return stay, rows


def _outputs(model: PreTrainedModel, batches: Sequence[Batch]) -> Outputs:
    import torch

    outputs: Outputs = []
    with torch.inference_mode():
        for batch in batches:
            answer = model(**batch.inputs)
            mask = batch.inputs["attention_mask"].bool()
            found = [(name, answer[name]) for name in OUTPUT_NAMES if name in answer]
            outputs.append(
                [
                    values if name == "logits" and values.dim() == 2 else values[mask]
                    for name, values in found
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
