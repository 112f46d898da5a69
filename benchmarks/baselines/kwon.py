"""Kwon et al. 2022, "A Fast Post-Training Pruning Framework for Transformers", arXiv:2204.09656.

Masks ``m`` of ones stand before the output projections; ``g_b`` is the gradient of a labelled
sample's loss by them. Four steps:

1. Fisher (section 4.1): ``F_i = mean_b g_bi^2``; removing units adds about ``1/2 (1-m)^T F (1-m)``.
2. Mask search (4.1, algorithm 1): for each number of heads, the most important ones, and as many
   of the most important neurons as the FLOPs left allow; the number that loses the least ``F``.
   With fractions instead of FLOPs, the most important heads, and neurons, of the whole model.
3. Rearrangement (4.2): with the full ``F = mean_b g_b g_b^T`` of each sub-layer, one round of
   greedy exchanges between what it keeps and what it loses.
4. Mask tuning (4.3): from the first sub-layer to the last, masks of real numbers that bring the
   sum before the LayerNorm near a teacher's, ``min_r |A (1 + r) - y|^2 + damp^2 |r|^2`` with column
   ``j`` of ``A`` unit *j*'s contribution; a solution with a mask outside [-10, 10] is refused. The
   teacher is the model pruned half way, to the square root of what is kept, and of a classifier's
   last FFN only the first token counts, both as in the authors' program.

Repaired against the authors' program: gradients are of single samples, not of batches (the paper's
own definition); every sub-layer is tuned, the first attention too; after a refused one tuning goes
on. We solve the normal equations of step 4 by
Cholesky, which is what LSMR converges to, and fold the tuned masks into the output projection, so
that the model is really smaller. The mode with a latency table is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from baselines.flops import check_removal, unit_flops
from baselines.walk import Sums, Walk
from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.importance import mask_gradients
from bertcompress.bert.pruning.selection import Kept, keep_units
from bertcompress.bert.pruning.sublayers import UNITS, Unit
from bertcompress.bert.structure import encoder_of, shape_of
from bertcompress.bert.surgery import cut
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.samples import batches_for
from bertcompress.passes.settings import Need
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

LARGEST_MASK = 10.0
Matrix = NDArray[np.float64]
Gradients = dict[Unit, list[Matrix]]
"""For each layer ``[samples, units]``."""


@dataclass(frozen=True)
class KwonDetails:
    """What the pass tells: where tuning was refused."""

    notes: tuple[str, ...]


@dataclass(frozen=True)
class KwonPrune(Pass[Checkpoint, Checkpoint]):
    """Prunes in one shot by the Fisher information of masks, and tunes the masks.

    Attributes:
        heads: Of all heads, the part to remove, [0, 1).
        ffn: Of all neurons, the part to remove, [0, 1).
        flops: Of the FLOPs of heads and neurons, the part to remove, instead of the two.
        tune: Whether masks are tuned.
        damping: Of the least squares; the paper's 1.
        samples: At most this many examples are used; the paper's 2048.
        batch_size: Examples of one run.
        max_length: Longest text in tokens; None takes the model's.
        seed: Draws the samples.
    """

    heads: float = 0.0
    ffn: float = 0.0
    flops: float | None = None
    tune: bool = True
    damping: float = 1.0
    samples: int = 2048
    batch_size: int = 16
    max_length: int | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        check_removal(self.heads, self.ffn, self.flops)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What gradients are taken on, with labels."""
        return ("examples",)

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, KwonDetails]:
        """Returns the smaller checkpoint.

        Raises:
            PassError: If activations are not finite.
            DataError: If the examples do not fit the task or the model's labels.
        """
        progress = context.progress
        batches = batches_for(
            checkpoint,
            context.examples,
            samples=self.samples,
            batch_size=self.batch_size,
            max_length=self.max_length,
            seed=self.seed,
        )
        gradients = _gradients(checkpoint.model, batches, seed=self.seed, progress=progress)
        smaller = self._cut(checkpoint.model, gradients, batches, 1.0)
        refused: list[str] = []
        if self.tune and shape_of(smaller) != shape_of(checkpoint.model):
            refused = tune_masks(
                self._cut(checkpoint.model, gradients, batches, 0.5),
                smaller,
                batches,
                damping=self.damping,
                classifies=checkpoint.task == "text-classification",
                progress=progress,
            )
        note = f"tuning refused: {', '.join(refused) or 'none'}"
        return replace(checkpoint, model=smaller), KwonDetails((note,))

    def _cut(
        self, model: PreTrainedModel, gradients: Gradients, batches: Sequence[Batch], power: float
    ) -> PreTrainedModel:
        """Searches, rearranges and cuts; what is kept is a power of what was asked for."""
        fisher = {
            unit: tuple(np.square(own).mean(axis=0) for own in gradients[unit]) for unit in UNITS
        }
        heads, ffn = (1 - (1 - part) ** power for part in (self.heads, self.ffn))
        if self.flops is not None:
            costs = unit_flops(shape_of(model), batches)
            budget = (1 - self.flops) ** power * costs.of(shape_of(model))
            all_heads, all_neurons = (np.concatenate(fisher[unit]) for unit in UNITS)
            counts = search(all_heads, all_neurons, costs.head, costs.neuron, budget)
            heads, ffn = 1 - counts[0] / all_heads.size, 1 - counts[1] / all_neurons.size
        kept: list[Kept] = []
        for unit, part in zip(UNITS, (heads, ffn), strict=True):
            best = keep_units(fisher[unit], part, minimum=0)
            pairs = zip(gradients[unit], best, strict=True)
            kept.append(tuple(rearranged(own, units) for own, units in pairs))
        return cut(model, heads=kept[0], ffn=kept[1])


def search(
    heads: Matrix, neurons: Matrix, head_cost: float, neuron_cost: float, budget: float
) -> tuple[int, int]:
    """Returns how many heads and neurons keep the most importance within the budget.

    Args:
        heads: The importance of all heads of the model, in any order.
        neurons: That of all neurons.
        head_cost: FLOPs of a head.
        neuron_cost: FLOPs of a neuron.
        budget: FLOPs to keep at most.

    Source: algorithm 1 of the paper.
    """
    of_heads = np.concatenate([[0.0], np.cumsum(np.sort(heads)[::-1])])
    of_neurons = np.concatenate([[0.0], np.cumsum(np.sort(neurons)[::-1])])
    best, most = (0, 0), -1.0
    for count in range(heads.size + 1):
        left = budget - count * head_cost
        if left < -1e-6 * budget:
            break
        others = min(neurons.size, int(max(0.0, left) / neuron_cost + 1e-6))
        if of_heads[count] + of_neurons[others] > most:
            best, most = (count, others), float(of_heads[count] + of_neurons[others])
    return best


def rearranged(gradients: Matrix, kept: Sequence[int]) -> tuple[int, ...]:
    """Returns as many units, exchanged where that lowers the full Fisher's cost of the rest.

    The cost of removing a set is ``|s|^2`` with ``s`` the sum of its gradient columns. Each kept
    unit *i* in turn may take the place of a removed *j*: ``|s + g_i - g_j|^2``.

    Args:
        gradients: ``[samples, units]``.
        kept: The units that stay, rising.
    """
    gram = gradients.T @ gradients
    size = gram.diagonal()
    removed = np.ones(len(gram), dtype=bool)
    removed[list(kept)] = False
    product = gram[:, removed].sum(axis=1)  # s . g_j of every unit j
    for unit in kept:
        others = np.flatnonzero(removed)
        if not others.size:
            break
        costs = size[others] - 2.0 * (product[others] + gram[others, unit])
        own = size[unit] - 2.0 * (product[unit] + gram[unit, unit])
        best = int(costs.argmin())
        if costs[best] < own:
            removed[unit], removed[others[best]] = True, False
            product = product + gram[:, unit] - gram[:, others[best]]
    return tuple(int(unit) for unit in np.flatnonzero(~removed))


def tune_masks(
    teacher: PreTrainedModel,
    pruned: PreTrainedModel,
    batches: Sequence[Batch],
    *,
    damping: float = 1.0,
    classifies: bool = False,
    progress: Progress = silent,
) -> list[str]:
    """Scales the output projections' columns of `pruned`, in place; returns what was refused.

    Args:
        teacher: Whose sums before the LayerNorms are wanted.
        pruned: The model to tune.
        batches: Real texts.
        damping: Of the least squares.
        classifies: Whether of the last layer's output only the first token is read.
        progress: Progress callback.
    """
    import torch

    head_size = shape_of(pruned).head_size
    walk = Walk(teacher, pruned, batches)
    refused = []
    layers = len(encoder_of(pruned).layer)
    for layer in range(layers):
        for unit in UNITS:
            progress("tune", 2 * layer + (unit == "ffn"), 2 * layers)
            last = classifies and unit == "ffn" and layer == layers - 1
            sums, dense = walk.sums(unit, first_token=last), walk.projection(unit)
            if not hasattr(dense, "weight"):
                continue
            width = head_size if unit == "heads" else 1
            masks = tuned(dense.weight, sums, width=width, damping=damping)
            if not bool((masks.abs() <= LARGEST_MASK).all()):
                refused.append(f"{unit} of layer {layer}")
                continue
            with torch.no_grad():
                dense.weight.mul_(masks.repeat_interleave(width).to(dense.weight.dtype))
        walk.advance()
    return refused


def tuned(weight: torch.Tensor, sums: Sums, *, width: int, damping: float) -> torch.Tensor:
    """Returns the masks of one sub-layer, float64 ``[units]``.

    ``A^T A`` is the product, element by element, of ``W^T W`` and ``xx``, added up over each pair
    of units' columns; the large ``A`` itself is never made.
    """
    import torch

    own = weight.detach().double()
    units = own.shape[1] // width
    gram = (own.T @ own * sums.xx).reshape(units, width, units, width).sum(dim=(1, 3))
    wanted = (own * sums.yx).sum(dim=0).reshape(units, width).sum(dim=1)
    damped = gram.clone()
    damped.diagonal().add_(damping**2)
    lower, failed = torch.linalg.cholesky_ex(damped)
    if int(failed):
        return torch.full((units,), torch.nan, dtype=torch.float64)
    rest = (wanted - gram.sum(dim=1))[:, None]
    return torch.cholesky_solve(rest, lower)[:, 0] + 1.0


def _gradients(
    model: PreTrainedModel, batches: Sequence[Batch], *, seed: int, progress: Progress
) -> Gradients:
    import torch

    generator = torch.Generator().manual_seed(seed)
    shape = shape_of(model)
    found: dict[Unit, list[list[Matrix]]] = {
        "heads": [[np.zeros((0, count))] for count in shape.layer_heads],
        "ffn": [[np.zeros((0, count))] for count in shape.layer_ffn],
    }
    for number, batch in enumerate(batches):
        progress("Fisher", number, len(batches))
        for (unit, layer), values in mask_gradients(model, batch, generator).items():
            found[unit][layer].append(values)
    return {unit: [np.concatenate(parts) for parts in found[unit]] for unit in UNITS}
