"""Re-fits what pruning left, so that each sub-layer gives again what the original's gives.

From the first layer to the last, attention before FFN: the *original* model runs on its own hidden
states, the pruned one on those that its already re-fitted layers give, and the pruned output
projection is solved for by least squares::

    W', b' = argmin  sum_t w_t |W' x_t + b' + r_t - z_t|^2

with ``x_t`` and ``r_t`` the projection's inputs and the residual in the pruned model, and ``z_t``
the sum before the LayerNorm in the original one: errors of earlier layers are corrected, not handed
on. An emptied sub-layer keeps a bias, which is fitted too. A part of the samples is held out, and
a solution is taken only if it is better on those as well.

Between two sub-layers only the hidden states of all batches are kept, of both models; what goes
into a projection is wide, and is computed when it is needed: once to fit or to check, and once to
go on.

Sources: Park, Choi and Kang 2024 (K-prune), arXiv:2308.03449, section 3.4, for the sequential
targets; here with a free bias, a pull towards the weights that are there (`Moments`) and held-out
acceptance, which the released code lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.sublayers import (
    UNITS,
    Key,
    LayerCall,
    Unit,
    enter,
    first_calls,
    leave,
    normed,
)
from bertcompress.bert.structure import encoder_of, projection
from bertcompress.errors import PassError, UsageError
from bertcompress.numerics.moments import Moments, Residuals
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

TokenWeights = dict[Key, list["torch.Tensor"]]
"""For each sub-layer and batch what an error at each position costs, ``[batch, sequence]``."""


@dataclass(frozen=True)
class Refitted:
    """What re-fitting one sub-layer did.

    Attributes:
        unit: Attention (``heads``) or ``ffn``.
        layer: Its position.
        error_before: Mean squared error of the sum before the LayerNorm, on held-out samples.
        error_after: The same after; equal where the solution was refused.
        accepted: Whether it was taken.
    """

    unit: Unit
    layer: int
    error_before: float
    error_after: float
    accepted: bool


def can_refit(batches: Sequence[Batch]) -> bool:
    """Returns whether there are batches to fit to, and others to check with."""
    return len({batch.held_out for batch in batches}) == 2


def refit(
    original: PreTrainedModel,
    pruned: PreTrainedModel,
    batches: Sequence[Batch],
    *,
    weights: TokenWeights | None = None,
    progress: Progress = silent,
) -> list[Refitted]:
    """Re-fits all output projections of `pruned`, in place.

    Args:
        original: The model before pruning, in evaluation mode; left as it was.
        pruned: The same model with units cut out, all its layers there.
        batches: Real texts, some to fit and some held out; targets are not looked at.
        weights: What an error at each position costs; None counts all real tokens alike.
        progress: Progress callback.

    Raises:
        UsageError: If the models have different numbers of layers, or there are too few batches.
        PassError: If an activation is not finite.
    """
    import torch

    theirs, ours = encoder_of(original).layer, encoder_of(pruned).layer
    if len(theirs) != len(ours):
        raise UsageError(
            f"{len(ours)} layers can't be re-fitted to {len(theirs)}: drop layers after"
        )
    if not can_refit(batches):
        raise UsageError("re-fitting needs batches to fit to, and some held out to check with")
    done: list[Refitted] = []
    with torch.no_grad():
        run = _Run(first_calls(original, batches), [batch.held_out for batch in batches])
        for index, (teacher, student) in enumerate(zip(theirs, ours, strict=True)):
            for unit in UNITS:
                progress("re-fit", len(done), 2 * len(ours))
                costs = weights[unit, index] if weights else None
                done.append(run.refit(teacher, student, (unit, index), costs))
        progress("re-fit", len(done), 2 * len(ours))
    return done


class _Run:
    """Both models on their way through the layers.

    Args:
        calls: What the first layer is called with, for each batch.
        held_out: Which of them check what the others fit.
    """

    def __init__(self, calls: Sequence[LayerCall], held_out: Sequence[bool]) -> None:
        self._calls, self._is_held_out = calls, held_out
        self._wanted = [call.hidden for call in calls]
        self._states = [call.hidden for call in calls]

    def refit(
        self, teacher: Any, student: Any, key: Key, costs: Sequence[torch.Tensor] | None
    ) -> Refitted:
        """Re-fits one sub-layer of the student, in place, and takes both models past it."""
        unit, _ = key
        for at, call in enumerate(self._calls):
            inputs, residual = enter(teacher, unit, self._wanted[at], call)
            self._wanted[at] = projection(teacher, unit)(inputs) + residual
        done = self._solve(student, key, costs)
        for at, call in enumerate(self._calls):
            self._wanted[at] = normed(teacher, unit, self._wanted[at])
            self._states[at] = leave(student, unit, *enter(student, unit, self._states[at], call))
        return done

    def _solve(self, student: Any, key: Key, costs: Sequence[torch.Tensor] | None) -> Refitted:
        """Fits on most batches, checks on those held out, and takes what is better."""
        unit, layer = key
        dense = projection(student, unit)
        bias = dense.bias
        weight = dense.weight if hasattr(dense, "weight") else bias.new_zeros(len(bias), 0)
        held_out = [at for at, held in enumerate(self._is_held_out) if held]
        rest = [at for at, held in enumerate(self._is_held_out) if not held]
        moments = Moments(weight.shape[1], len(bias))
        self._add(moments, student, unit, costs, rest)
        new_weight, new_bias = moments.fit(weight)
        del moments  # two matrices as large as the Hessian
        residuals = Residuals((weight, bias), (new_weight, new_bias))
        self._add(residuals, student, unit, costs, held_out)
        before, after = residuals.means()
        if not after < before:
            return Refitted(unit, layer, before, before, accepted=False)
        if weight.shape[1]:
            dense.weight.copy_(new_weight)
        bias.copy_(new_bias)
        if not bool(bias.isfinite().all()):
            raise PassError(f"re-fitting layer {layer} gave numbers that are not finite")
        return Refitted(unit, layer, before, after, accepted=True)

    def _add(
        self,
        sums: Moments | Residuals,
        student: Any,
        unit: Unit,
        costs: Sequence[torch.Tensor] | None,
        chosen: Iterable[int],
    ) -> None:
        """Adds the real tokens of batches: the projection's inputs, and what it should give."""
        emptied = not hasattr(projection(student, unit), "weight")
        for at in chosen:
            call = self._calls[at]
            inputs, residual = enter(student, unit, self._states[at], call)
            x = inputs[call.real]
            y = (self._wanted[at] - residual)[call.real]
            cost = costs[at][call.real] if costs is not None else x.new_ones(len(x))
            sums.add(x[:, :0] if emptied else x, y, cost)
