"""K-prune: Park, Choi and Kang 2024, arXiv:2308.03449.

"Accurate Retraining-free Pruning for Pretrained Encoder-based Language Models". From the first
sub-layer to the last, three steps at each:

1. Knowledge measurement (section 3.2), of all units from this sub-layer on, in the model as pruned
   so far: *predictive*, ``K_pred = 1/2 mean_b g_b^2`` with ``g`` the gradient by the unit's mask of
   the divergence between the answers at temperature ``T``; *representational*, ``K_rep``, the mean
   square of what the unit adds to the residual stream.
2. Mask search (KPMS, 3.3): one threshold on ``(lambda_pred K_pred + lambda_rep K_rep) / FLOPs``,
   heads times ``mu``, over all of them, so that what stays fits in the FLOPs left; it is applied
   to this sub-layer only. With fractions: one threshold for heads and one for neurons.
3. Weight tuning (KPWT, 3.4): the remaining columns of the output projection by least squares, so
   that the sum before the LayerNorm is again the unpruned model's.

Repaired against the authors' program:

- The divergence of a model from itself has no gradient, so that ``K_pred`` is 0 before anything
  is pruned. The divergence's *second* derivative is the Fisher information at temperature ``T``;
  we estimate it without labels by answers drawn from the model's own (one a sample).
- Least squares that fail are an error, not passed over; they are solved in float64, with a trace of
  damping.
- A head has one mask, not one a channel of which the mean is taken; so that ``mu`` keeps its
  meaning, a head's ``K_pred`` is divided by the head size.

Our own deviation, for time: knowledge is measured on `knowledge_samples` samples (the paper: all),
starting from the hidden states below the sub-layer, which do not change any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from baselines.flops import UnitFlops, check_removal, unit_flops
from baselines.knowledge import Key, Vector, knowledge
from baselines.walk import Sums, Walk
from bertcompress.artifacts.artifact import Checkpoint, Kind
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.brain_surgeon import damped_inverse
from bertcompress.bert.pruning.sublayers import UNITS, Unit
from bertcompress.bert.structure import encoder_of, shape_of
from bertcompress.bert.surgery import cut
from bertcompress.passes.base import NoDetails, Pass
from bertcompress.passes.context import Context
from bertcompress.passes.samples import batches_for
from bertcompress.passes.settings import Need
from bertcompress.progress import Progress

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

DAMPING = 1e-6
"""Of the least squares, in the mean diagonal: no more than what float32 activations need."""


@dataclass(frozen=True)
class KPrune(Pass[Checkpoint, Checkpoint]):
    """Prunes sub-layer after sub-layer by what units know, and solves for the remaining weights.

    Attributes:
        heads: Of all heads, the part to remove, [0, 1).
        ffn: Of all neurons, the part to remove, [0, 1).
        flops: Of the FLOPs of heads and neurons, the part to remove, instead of the two.
        temperature: Of the answers' softmax; the paper's 2.
        predictive: The weight of predictive knowledge.
        representational: The weight of representational knowledge; the paper tunes it.
        head_balance: ``mu``, which heads' scores are multiplied by; the paper's 64.
        samples: At most this many examples are used.
        knowledge_samples: So many of them for knowledge.
        batch_size: Examples of one run.
        max_length: Longest text in tokens; None takes the model's.
        seed: Draws the samples and the answers.
    """

    heads: float = 0.0
    ffn: float = 0.0
    flops: float | None = None
    temperature: float = 2.0
    predictive: float = 1.0
    representational: float = 1e-5
    head_balance: float = 64.0
    samples: int = 2048
    knowledge_samples: int = 512
    batch_size: int = 16
    max_length: int | None = None
    seed: int = 0

    consumes: ClassVar[Kind] = "checkpoint"
    produces: ClassVar[Kind] = "checkpoint"

    def __post_init__(self) -> None:
        check_removal(self.heads, self.ffn, self.flops)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What knowledge is measured on; labels are not looked at."""
        return ("examples",)

    def apply(self, checkpoint: Checkpoint, context: Context) -> tuple[Checkpoint, NoDetails]:
        """Returns the smaller checkpoint.

        Raises:
            PassError: If activations are not finite.
            DataError: If the examples do not fit the task.
        """
        smaller = cut(checkpoint.model)
        if self.heads or self.ffn or self.flops:
            batches = batches_for(
                checkpoint,
                context.examples,
                samples=self.samples,
                batch_size=self.batch_size,
                max_length=self.max_length,
                seed=self.seed,
            )
            smaller = _Work(self, checkpoint.model, smaller, batches).pruned(context.progress)
        return replace(checkpoint, model=smaller), NoDetails()


class _Work:
    """One run: a student whose removed columns are zero until all is chosen."""

    def __init__(
        self,
        settings: KPrune,
        original: PreTrainedModel,
        student: PreTrainedModel,
        batches: Sequence[Batch],
    ) -> None:
        self._settings = settings
        self._student = student
        self._batches = batches
        self._walk = Walk(original, student, batches)
        self._generator = _generator(settings.seed)
        self._costs = unit_flops(shape_of(original), batches)
        self._left = _Budget.of(settings, original, self._costs)
        part = settings.knowledge_samples / max(1, sum(batch.size for batch in batches))
        self._every = max(1, round(1 / part)) if part < 1 else 1

    def pruned(self, progress: Progress) -> PreTrainedModel:
        """Walks up and returns the smaller model."""
        import torch

        layers = len(encoder_of(self._student).layer)
        kept: dict[Unit, list[tuple[int, ...]]] = {unit: [] for unit in UNITS}
        for layer in range(layers):
            for unit in UNITS:
                progress("K-prune", 2 * layer + (unit == "ffn"), 2 * layers)
                scores = {
                    key: values
                    for key, values in self._scores(layer).items()
                    if key[1] > layer or key[0] == unit or unit == "heads"
                }
                stay = self._left.choose(scores, (unit, layer))
                kept[unit].append(tuple(int(one) for one in stay))
                sums, dense = self._walk.sums(unit), self._walk.projection(unit)
                if hasattr(dense, "weight"):
                    width = dense.in_features // max(1, len(scores[unit, layer]))
                    with torch.no_grad():
                        dense.weight.copy_(fitted(sums, _columns(stay, width)))
            self._walk.advance()
        return cut(self._student, heads=tuple(kept["heads"]), ffn=tuple(kept["ffn"]))

    def _scores(self, first: int) -> dict[Key, Vector]:
        """Returns the score of every unit from a layer on, before FLOPs are divided by."""
        own = self._settings
        found = knowledge(
            self._student,
            first,
            self._batches[:: self._every],
            self._walk.states[:: self._every],
            temperature=own.temperature,
            generator=self._generator,
        )
        return {
            key: (own.predictive * one.predictive + own.representational * one.representational)
            * (own.head_balance if key[0] == "heads" else 1.0)
            for key, one in found.items()
        }


@dataclass
class _Budget:
    """What may still be kept: numbers of heads and neurons, or FLOPs of both together."""

    counts: dict[Unit, int] | None
    flops: float
    costs: UnitFlops

    @classmethod
    def of(cls, settings: KPrune, model: PreTrainedModel, costs: UnitFlops) -> _Budget:
        shape = shape_of(model)
        if settings.flops is not None:
            return cls(None, (1 - settings.flops) * costs.of(shape), costs)
        heads = round((1 - settings.heads) * sum(shape.layer_heads))
        ffn = round((1 - settings.ffn) * sum(shape.layer_ffn))
        return cls({"heads": heads, "ffn": ffn}, 0.0, costs)

    def choose(self, scores: dict[Key, Vector], here: Key) -> NDArray[np.int64]:
        """Returns the units that stay at one sub-layer, rising, and takes them off the budget."""
        pool = [key for key in scores if self.counts is None or key[0] == here[0]]
        cost = {"heads": self.costs.head, "ffn": self.costs.neuron}
        each = np.concatenate([np.full(len(scores[key]), cost[key[0]]) for key in pool])
        every = np.concatenate([scores[key] for key in pool])
        mine = np.concatenate([np.full(len(scores[key]), key == here) for key in pool])
        order = np.argsort(-every / each, kind="stable")
        if self.counts is None:
            best = order[np.cumsum(each[order]) <= self.flops * (1 + 1e-9)]
        else:
            best = order[: self.counts[here[0]]]
        keep = np.zeros(len(every), dtype=bool)
        keep[best] = True
        stay = np.flatnonzero(keep[mine])
        if self.counts is None:
            self.flops -= len(stay) * cost[here[0]]
        else:
            self.counts[here[0]] -= len(stay)
        return stay


def fitted(sums: Sums, columns: Sequence[int]) -> torch.Tensor:
    """Returns the least squares weight on some columns, 0 on the others, ``[outputs, inputs]``."""
    import torch

    weight = torch.zeros_like(sums.yx)
    if columns:
        own = torch.as_tensor(columns)
        weight[:, own] = sums.yx[:, own] @ damped_inverse(sums.xx[own][:, own], DAMPING)
    return weight


def _generator(seed: int) -> torch.Generator:
    import torch

    return torch.Generator().manual_seed(seed)


def _columns(units: NDArray[np.int64], width: int) -> list[int]:
    return [int(unit) * width + offset for unit in units for offset in range(width)]
