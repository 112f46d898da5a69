"""How much each head and each FFN neuron matters, told by what goes into the output projections.

====== ================================================ =========================================
wanda  sqrt(sum of W[r, j]^2 E[x_j^2] over r, j of unit) Sun et al. 2023, arXiv:2306.11695, eq. 1
obs    trace(W_S (H^-1)_SS^-1 W_S^T)                     see `bertcompress.bert.obs`
====== ================================================ =========================================

`wanda` is the norm of what a unit adds to the output: the paper's score of single weights,
``|W[r, j]| ||x_j||``, taken together over the unit. `obs` is what is lost where all other units
make up for it, weighted by what errors cost. No target is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.curvature import error_costs, hessians
from bertcompress.bert.importance import SCORES_FROM_INPUTS, Importance, ScoreName, checked
from bertcompress.bert.obs import costs_of_each
from bertcompress.bert.sample_losses import Batch
from bertcompress.bert.structure import layers_of, shape_of
from bertcompress.bert.sublayers import UNITS, Key, enter, first_calls, leave
from bertcompress.errors import PassError, UsageError
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


def from_inputs(
    model: PreTrainedModel,
    batches: Sequence[Batch],
    *,
    score: ScoreName,
    seed: int = 0,
    progress: Progress = silent,
) -> Importance:
    """Scores units by the inputs of the output projections.

    Args:
        model: In evaluation mode; left as it was.
        batches: Real texts.
        score: ``wanda`` or ``obs``.
        seed: Draws the targets of the curvature, for ``obs``.
        progress: Is told the samples, or the sub-layers, done.

    Returns:
        Float64 scores, one array a layer.

    Raises:
        UsageError: If the score is another.
        PassError: If there are no samples, or an activation is not a finite number.
    """
    if score not in SCORES_FROM_INPUTS:
        raise UsageError(f"score from inputs must be wanda or obs, got {score!r}")
    if not batches:
        raise PassError(f"{score} needs at least one sample, got none; give data")
    found = _wanda(model, batches) if score == "wanda" else _obs(model, batches, seed, progress)
    heads, ffn = (
        tuple(found.get((unit, layer), np.zeros(0)) for layer in range(shape_of(model).layers))
        for unit in UNITS
    )
    return checked(Importance(heads, ffn, score, sum(one.size for one in batches)))


def _projections(model: PreTrainedModel) -> dict[Key, tuple[nn.Linear, int]]:
    """Returns each sub-layer's projection and the width of its units, where it has any."""
    head_size = shape_of(model).head_size
    found: dict[Key, tuple[nn.Linear, int]] = {}
    for layer in layers_of(model):
        if layer.attention_output is not None:
            found["heads", layer.index] = layer.attention_output, head_size
        if layer.ffn_output is not None:
            found["ffn", layer.index] = layer.ffn_output, 1
    return found


def _wanda(model: PreTrainedModel, batches: Sequence[Batch]) -> dict[Key, NDArray[np.float64]]:
    import torch

    calls = first_calls(model, batches)
    states = [call.hidden for call in calls]
    wanted = _projections(model)
    found: dict[Key, NDArray[np.float64]] = {}
    for layer in layers_of(model):
        for unit in UNITS:
            squares: torch.Tensor | None = None
            with torch.no_grad():
                for at, call in enumerate(calls):
                    inputs, residual = enter(layer.layer, unit, states[at], call)
                    own = inputs[call.real].double().square().sum(dim=0)
                    squares = own if squares is None else squares + own
                    states[at] = leave(layer.layer, unit, inputs, residual)
            if (unit, layer.index) in wanted and squares is not None:
                dense, width = wanted[unit, layer.index]
                each = dense.weight.detach().double().square().sum(dim=0) * squares
                found[unit, layer.index] = each.reshape(-1, width).sum(dim=1).sqrt().numpy()
    return found


def _obs(
    model: PreTrainedModel, batches: Sequence[Batch], seed: int, progress: Progress
) -> dict[Key, NDArray[np.float64]]:
    costs = error_costs(model, batches, seed=seed, progress=progress)
    wanted = _projections(model)
    found: dict[Key, NDArray[np.float64]] = {}
    for key, hessian in hessians(model, batches, costs, set(wanted)):
        dense, width = wanted[key]
        weight = dense.weight.detach().double() * costs[key].rows.sqrt()[:, None]
        found[key] = costs_of_each(weight, hessian, width=width)
        progress("obs", len(found), len(wanted))
    return found
