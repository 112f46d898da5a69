"""Re-fits what pruning left, so that each sub-layer gives again what the original's gives.

From the first layer to the last, attention before FFN: the *original* model runs on its own hidden
states, the pruned one on those that its already re-fitted layers give, and the pruned output
projection is solved for by least squares::

    W', b' = argmin  sum_t w_t |W' x_t + b' + r_t - z_t|^2

with ``x_t`` and ``r_t`` the projection's inputs and the residual in the pruned model, and ``z_t``
the sum before the LayerNorm in the original one: errors of earlier layers are corrected, not handed
on. An emptied sub-layer keeps a bias, which is fitted too. A part of the samples is held out, and
a solution is taken only if it is better on those as well.

Sources: Park, Choi and Kang 2024 (K-prune), arXiv:2308.03449, section 3.4, for the sequential
targets; here with a free bias, a pull towards the weights that are there (`Moments`) and held-out
acceptance, which the released code lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertcompress.bert.sample_losses import Batch
from bertcompress.bert.structure import encoder_of, projection
from bertcompress.bert.sublayers import (
    UNITS,
    Seen,
    Unit,
    first_calls,
    run_layer,
    watched,
)
from bertcompress.errors import PassError, UsageError
from bertcompress.numerics.moments import DAMPING, Moments
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

HELD_OUT = 5
"""Of every so many batches one is held out."""
TokenWeights = dict[tuple[Unit, int], list["torch.Tensor"]]
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


def refit(
    original: PreTrainedModel,
    pruned: PreTrainedModel,
    batches: Sequence[Batch],
    *,
    weights: TokenWeights | None = None,
    damping: float = DAMPING,
    progress: Progress = silent,
) -> list[Refitted]:
    """Re-fits all output projections of `pruned`, in place.

    Args:
        original: The model before pruning, in evaluation mode; left as it was.
        pruned: The same model with units cut out, all its layers there.
        batches: Real texts, at least two batches; targets are not looked at.
        weights: What an error at each position costs; None counts all real tokens alike.
        damping: How strongly the weights that are there are held on to.
        progress: Is told the sub-layers done and their number.

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
    if len(batches) < 2:
        raise UsageError("re-fitting needs at least two batches: one to fit, one to check")
    held_out = set(range(1, len(batches), HELD_OUT))
    done: list[Refitted] = []
    with torch.no_grad():
        calls = first_calls(original, batches)
        wanted, states = [call.hidden for call in calls], [call.hidden for call in calls]
        for index, (teacher, student) in enumerate(zip(theirs, ours, strict=True)):
            targets: dict[Unit, list[torch.Tensor]] = {unit: [] for unit in UNITS}
            for at, call in enumerate(calls):
                with watched(teacher, *UNITS) as seen:
                    wanted[at] = run_layer(teacher, wanted[at], call)
                for unit in UNITS:
                    targets[unit].append(seen[unit].total)
            for unit in UNITS:
                progress("re-fit", len(done), 2 * len(ours))
                parts = _moments(student, unit)
                for at, call in enumerate(calls):
                    with watched(student, unit) as seen:
                        run_layer(student, states[at], call)
                    cost = weights[unit, index][at] if weights else None
                    _add(
                        parts[at in held_out],
                        seen[unit],
                        targets[unit][at],
                        call.real,
                        cost,
                    )
                done.append(_solve(projection(student, unit), unit, index, parts, damping))
            for at, call in enumerate(calls):
                states[at] = run_layer(student, states[at], call)
        progress("re-fit", len(done), 2 * len(ours))
    return done


def _moments(layer: Any, unit: Unit) -> tuple[Moments, Moments]:
    """Returns empty sums, to fit on and to check on."""
    dense = projection(layer, unit)
    inputs, outputs = getattr(dense, "in_features", 0), dense.bias.shape[0]
    return Moments(inputs, outputs), Moments(inputs, outputs)


def _add(
    moments: Moments,
    seen: Seen,
    target: torch.Tensor,
    real: torch.Tensor,
    cost: torch.Tensor | None,
) -> None:
    import torch

    x = seen.inputs[real]
    if moments.inputs == 0:
        x = x[:, :0]
    y = (target - seen.residual)[real]
    moments.add(x, y, cost[real] if cost is not None else torch.ones(len(x)))


def _solve(
    dense: Any, unit: Unit, layer: int, parts: tuple[Moments, Moments], damping: float
) -> Refitted:
    import torch

    fitted, checked = parts
    bias = dense.bias
    weight = getattr(dense, "weight", torch.zeros(len(bias), 0))
    before = checked.error(weight, bias)
    new_weight, new_bias = fitted.fit(weight, damping=damping)
    after = checked.error(new_weight, new_bias)
    if not after < before:
        return Refitted(unit, layer, before, before, accepted=False)
    if weight.shape[1]:
        dense.weight.copy_(new_weight)
    bias.copy_(new_bias)
    if not bool(torch.isfinite(bias).all()):
        raise PassError(f"re-fitting layer {layer} gave numbers that are not finite")
    return Refitted(unit, layer, before, after, accepted=True)
