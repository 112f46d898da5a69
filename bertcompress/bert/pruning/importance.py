"""How much each head and each FFN neuron matters to the answers, measured on real data.

**The mask.** A unit is a block of input columns of an output projection (see `structure`). We put
a mask ``m`` of ones in front of that projection, ``x -> x * m``, by a forward pre-hook; nothing in
the model changes, and Transformers 5, which has no ``head_mask`` any more, needs none. The mask has
a batch axis, ``[batch, units]``, so that one backward pass gives the gradient of *each sample's*
loss: a mean of absolute values or of squares over samples is then exact, where the mean of batch
gradients would let samples of opposite sign cancel.

**The scores.** With ``g_b = d loss_b / d m`` at ``m = 1``:

=========== ==================== ==========================================================
taylor      mean_b abs(g_b)      Michel, Levy, Neubig 2019, arXiv:1905.10650, section 4.1
fisher      mean_b g_b ** 2      Kwon et al. 2022, arXiv:2204.09656, eq. 9 (diagonal, with
                                 per-sample instead of per-batch gradients)
true-fisher the same             gold targets left out: see below
wanda, obs                       from the activations, see `importance_from_inputs`
magnitude   ||W[:, unit]||_2     columns of the output projection; needs no data
random      uniform              the floor that every other score must beat
=========== ==================== ==========================================================

Squares estimate the loss added by removing a unit where the gradient is near zero (1/2 F), so they
are comparable between layers; `fisher` is the default for a global ranking.

**The loss.** Gold targets where the data has them, see `sample_losses`. Where it has none, the
target is drawn from the model's own distribution, one draw a sample (seeded): the expectation of
the squared gradient is then the true Fisher information (Kunstner et al. 2019, arXiv:1905.12558),
no labels needed. A temperature or a teacher equal to the student would give exactly zero gradient.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.batch_losses import Batch, sample_losses
from bertcompress.bert.pruning.sublayers import UNITS, Key, projections_of
from bertcompress.bert.structure import shape_of
from bertcompress.errors import PassError, UsageError
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

ScoreName = Literal["fisher", "true-fisher", "taylor", "wanda", "obs", "magnitude", "random"]
SCORE_NAMES: tuple[ScoreName, ...] = get_args(ScoreName)
SCORES_FROM_GRADIENTS = ("fisher", "true-fisher", "taylor")
SCORES_FROM_INPUTS = ("wanda", "obs")
SCORES_FROM_DATA = (*SCORES_FROM_GRADIENTS, *SCORES_FROM_INPUTS)

Scores = tuple[NDArray[np.float64], ...]
"""One array a layer, ``[units]``; an emptied sub-layer has an empty array."""


@dataclass(frozen=True)
class Importance:
    """Scores of all heads and all FFN neurons; larger is more important."""

    heads: Scores
    ffn: Scores
    score: ScoreName
    samples: int


def from_data(
    model: PreTrainedModel,
    batches: Iterable[Batch],
    *,
    score: ScoreName = "fisher",
    seed: int = 0,
    progress: Progress = silent,
) -> Importance:
    """Scores units by the gradients of their masks over real samples.

    Args:
        model: In evaluation mode; left as it was.
        batches: What to measure on.
        score: ``fisher``, ``true-fisher`` or ``taylor``.
        seed: For the targets drawn where the data has none.
        progress: Progress callback.

    Returns:
        Float64 scores, one array a layer.

    Raises:
        UsageError: If the score is not one that data gives.
        PassError: If there are no samples, or a gradient is not a finite number.
    """
    import torch

    if score not in SCORES_FROM_GRADIENTS:
        raise UsageError(
            f"score from gradients must be {' or '.join(SCORES_FROM_GRADIENTS)}, got {score!r}"
        )
    batches = tuple(batches)
    if score == "true-fisher":
        batches = tuple(Batch(batch.inputs, {}) for batch in batches)
    total = sum(batch.size for batch in batches)
    if total == 0:
        raise PassError(f"{score} needs at least one sample, got none; give data, or use magnitude")
    generator = torch.Generator().manual_seed(seed)
    sums: dict[Key, NDArray[np.float64]] = {}
    done = 0
    for batch in batches:
        for key, gradients in mask_gradients(model, batch, generator).items():
            each = np.abs(gradients) if score == "taylor" else np.square(gradients)
            sums[key] = sums.get(key, 0.0) + each.sum(axis=0)
        done += batch.size
        progress("importance", done, total)
    means = {key: values / total for key, values in sums.items()}
    return importance_of(model, means, score, samples=total)


def mask_gradients(
    model: PreTrainedModel, batch: Batch, generator: torch.Generator
) -> dict[Key, NDArray[np.float64]]:
    """Returns the gradient of each sample's loss by each unit's mask; the model is left as it was.

    Args:
        model: In evaluation mode.
        batch: What to run.
        generator: Draws targets where the batch has none.

    Returns:
        For each sub-layer with units ``d loss / d mask`` at a mask of ones, ``[batch, units]``.
    """
    import torch

    with frozen(model), _masked(model, batch.size) as masks:
        losses = sample_losses(model, batch, generator)  # [batch]
        gradients = torch.autograd.grad(losses.sum(), list(masks.values()))
    pairs = zip(masks, gradients, strict=True)
    return {key: gradient.double().cpu().numpy() for key, gradient in pairs}


def from_weights(
    model: PreTrainedModel, *, score: ScoreName = "magnitude", seed: int = 0
) -> Importance:
    """Scores units without data: by the norm of their columns, or at random (seeded).

    Raises:
        UsageError: If the score needs data.
        PassError: If a weight is not a finite number.
    """
    if score in SCORES_FROM_DATA or score not in SCORE_NAMES:
        raise UsageError(f"score without data must be magnitude or random, got {score!r}")
    generator = np.random.default_rng(seed)
    scores = {
        key: generator.random(dense.in_features // width)
        if score == "random"
        else _column_norms(dense, width)
        for key, (dense, width) in projections_of(model).items()
    }
    return importance_of(model, scores, score, samples=0)


def importance_of(
    model: PreTrainedModel,
    scores: Mapping[Key, NDArray[np.float64]],
    score: ScoreName,
    *,
    samples: int,
) -> Importance:
    """Returns scores layer by layer; an emptied sub-layer has none.

    Raises:
        PassError: If one is not a finite number.
    """
    for unit in UNITS:
        for layer in range(shape_of(model).layers):
            if not np.isfinite(scores.get((unit, layer), 0.0)).all():
                raise PassError(
                    f"the importance of the {'FFN' if unit == 'ffn' else unit} of layer {layer} "
                    "is not a finite number; the model's weights are damaged, or its loss overflows"
                )
    heads, ffn = (
        tuple(scores.get((unit, layer), np.zeros(0)) for layer in range(shape_of(model).layers))
        for unit in UNITS
    )
    return Importance(heads, ffn, score, samples)


def _column_norms(projection: nn.Linear, width: int) -> NDArray[np.float64]:
    weight = projection.weight.detach().double().numpy()  # [hidden, units * width]
    blocks = weight.reshape(weight.shape[0], -1, width)
    norms: NDArray[np.float64] = np.sqrt((blocks**2).sum(axis=(0, 2)))
    return norms


@contextlib.contextmanager
def _masked(model: PreTrainedModel, batch: int) -> Iterator[dict[Key, torch.Tensor]]:
    """Puts masks of ones, ``[batch, units]``, before all output projections while open."""
    masks: dict[Key, torch.Tensor] = {}
    with contextlib.ExitStack() as hooks:
        for key, (dense, width) in projections_of(model).items():
            units = dense.in_features // width
            masks[key] = dense.weight.new_ones(batch, units).requires_grad_()
            hook = dense.register_forward_pre_hook(_mask_hook(masks[key], width))
            hooks.callback(hook.remove)
        yield masks


def _mask_hook(mask: torch.Tensor, width: int) -> Callable[..., Any]:
    def multiply(_: nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        wide = mask.repeat_interleave(width, dim=1) if width > 1 else mask
        return (arguments[0] * wide[:, None, :],)

    return multiply


@contextlib.contextmanager
def frozen(model: PreTrainedModel) -> Iterator[None]:
    """Keeps the weights out of the backward pass while open: only the masks need gradients."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
