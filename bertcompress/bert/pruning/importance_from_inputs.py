"""How much each head and each FFN neuron matters, told by what goes into the output projections.

====== ================================================ =========================================
wanda  sqrt(sum of W[r, j]^2 E[x_j^2] over r, j of unit) Sun et al. 2023, arXiv:2306.11695, eq. 1
obs    trace(W_S (H^-1)_SS^-1 W_S^T)                     see `brain_surgeon.py`
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

from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.brain_surgeon import costs_of_each
from bertcompress.bert.pruning.curvature import error_costs, hessians
from bertcompress.bert.pruning.importance import (
    SCORES_FROM_INPUTS,
    Importance,
    ScoreName,
    importance_of,
)
from bertcompress.bert.pruning.sublayers import Key, Walk, projections_of, sublayers_of
from bertcompress.errors import PassError, UsageError
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
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
        progress: Progress callback.

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
    scores = _wanda(model, batches) if score == "wanda" else _obs(model, batches, seed, progress)
    samples = sum(batch.size for batch in batches)
    return importance_of(model, scores, score, samples=samples)


def _wanda(model: PreTrainedModel, batches: Sequence[Batch]) -> dict[Key, NDArray[np.float64]]:
    import torch

    wanted = projections_of(model)
    scores: dict[Key, NDArray[np.float64]] = {}
    with torch.no_grad():
        walk = Walk(model, batches)
        for key in sublayers_of(model):
            squares = sum(
                inputs[walk.calls[at].real].double().square().sum(dim=0)
                for at, inputs, _ in walk.through(key)
            )
            if key in wanted:
                dense, width = wanted[key]
                each = dense.weight.double().square().sum(dim=0) * squares
                scores[key] = each.reshape(-1, width).sum(dim=1).sqrt().numpy()
    return scores


def _obs(
    model: PreTrainedModel, batches: Sequence[Batch], seed: int, progress: Progress
) -> dict[Key, NDArray[np.float64]]:
    costs = error_costs(model, batches, seed=seed, progress=progress)
    wanted = projections_of(model)
    scores: dict[Key, NDArray[np.float64]] = {}
    for key, hessian in hessians(model, batches, costs, set(wanted)):
        dense, width = wanted[key]
        scores[key] = costs_of_each(costs[key].weighed(dense.weight), hessian, width=width)
        progress("obs", len(scores), len(wanted))
    return scores
