"""How much each head and each FFN neuron matters to the answers, measured on real data.

**The mask.** A unit is a block of input columns of an output projection (see `structure`). We put
a mask ``m`` of ones in front of that projection, ``x -> x * m``, by a forward pre-hook; nothing in
the model changes, and Transformers 5, which has no ``head_mask`` any more, needs none. The mask has
a batch axis, ``[batch, units]``, so that one backward pass gives the gradient of *each sample's*
loss: a mean of absolute values or of squares over samples is then exact, where the mean of batch
gradients would let samples of opposite sign cancel.

**The scores.** With ``g_b = d loss_b / d m`` at ``m = 1``:

========== ===================== ==========================================================
taylor     mean_b abs(g_b)       Michel, Levy, Neubig 2019, arXiv:1905.10650, section 4.1
fisher     mean_b g_b ** 2       Kwon et al. 2022, arXiv:2204.09656, eq. 9 (diagonal, with
                                 per-sample instead of per-batch gradients)
magnitude  ||W[:, unit]||_2      columns of the output projection; needs no data
random     uniform               the floor that every other score must beat
========== ===================== ==========================================================

Squares estimate the loss added by removing a unit where the gradient is near zero (1/2 F), so they
are comparable between layers; `fisher` is the default for a global ranking.

**The loss.** Gold targets where the data has them. Where it has none, the target is drawn from the
model's own distribution, one draw a sample (seeded): the expectation of the squared gradient is
then the true Fisher information (Kunstner et al. 2019, arXiv:1905.12558), no labels needed. A
temperature or a teacher equal to the student would give exactly zero gradient.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.structure import layers_of, shape_of

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

ScoreName = Literal["fisher", "taylor", "magnitude", "random"]
SCORE_NAMES: tuple[ScoreName, ...] = ("fisher", "taylor", "magnitude", "random")
SCORES_FROM_DATA = ("fisher", "taylor")

Scores = tuple[NDArray[np.float64], ...]
"""One array a layer, ``[units]``; an emptied sub-layer has an empty array."""


@dataclass(frozen=True)
class Batch:
    """One padded batch in torch.

    Attributes:
        inputs: int64 ``[batch, sequence]`` each.
        targets: Gold targets as the model takes them; empty if the data has none.
    """

    inputs: Mapping[str, torch.Tensor]
    targets: Mapping[str, torch.Tensor]


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
    progress: Callable[[int], None] | None = None,
) -> Importance:
    """Scores units by the gradients of their masks over real samples.

    Args:
        model: In evaluation mode; left as it was.
        batches: What to measure on.
        score: ``fisher`` or ``taylor``.
        seed: For the targets drawn where the data has none.
        progress: Called with the number of samples done so far.

    Returns:
        Float64 scores, one array a layer.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    shape = shape_of(model)
    heads = [np.zeros(count) for count in shape.layer_heads]
    ffn = [np.zeros(count) for count in shape.layer_ffn]
    samples = 0
    frozen = _freeze(model)
    for batch in batches:
        size = next(iter(batch.inputs.values())).shape[0]
        with _masked(model, size, shape.head_size) as masks:
            loss = sample_loss(model, batch, generator)
            gradients = torch.autograd.grad(loss * size, [mask for _, _, mask in masks])
        for (kind, layer, _), gradient in zip(masks, gradients, strict=True):
            values = gradient.double().numpy()
            per_unit = (values**2 if score == "fisher" else np.abs(values)).sum(axis=0)
            (heads if kind == "heads" else ffn)[layer] += per_unit
        samples += size
        if progress is not None:
            progress(samples)
    _unfreeze(frozen)
    count = max(samples, 1)
    return Importance(
        tuple(values / count for values in heads),
        tuple(values / count for values in ffn),
        score,
        samples,
    )


def from_weights(
    model: PreTrainedModel, *, score: ScoreName = "magnitude", seed: int = 0
) -> Importance:
    """Scores units without data: by the norm of their columns, or at random (seeded)."""
    shape = shape_of(model)
    generator = np.random.default_rng(seed)
    heads, ffn = [], []
    for layer in layers_of(model):
        if score == "random":
            heads.append(generator.random(shape.layer_heads[layer.index]))
            ffn.append(generator.random(shape.layer_ffn[layer.index]))
            continue
        heads.append(_column_norms(layer.attention_output, shape.head_size))
        ffn.append(_column_norms(layer.ffn_output, 1))
    return Importance(tuple(heads), tuple(ffn), score, 0)


def _column_norms(projection: nn.Linear | None, width: int) -> NDArray[np.float64]:
    if projection is None:
        return np.zeros(0)
    weight = projection.weight.detach().double().numpy()  # [hidden, units * width]
    blocks = weight.reshape(weight.shape[0], -1, width)
    norms: NDArray[np.float64] = np.sqrt((blocks**2).sum(axis=(0, 2)))
    return norms


@contextlib.contextmanager
def _masked(
    model: PreTrainedModel, batch: int, head_size: int
) -> Iterator[list[tuple[str, int, torch.Tensor]]]:
    """Puts masks of ones, ``[batch, units]``, before all output projections while open."""
    import torch

    masks: list[tuple[str, int, torch.Tensor]] = []
    hooks = []
    for layer in layers_of(model):
        for kind, projection, width in (
            ("heads", layer.attention_output, head_size),
            ("ffn", layer.ffn_output, 1),
        ):
            if projection is None:
                continue
            mask = torch.ones(batch, projection.in_features // width, requires_grad=True)
            masks.append((kind, layer.index, mask))
            hooks.append(projection.register_forward_pre_hook(_mask_hook(mask, width)))
    try:
        yield masks
    finally:
        for hook in hooks:
            hook.remove()


def _mask_hook(mask: torch.Tensor, width: int) -> Callable[..., Any]:
    def multiply(_: nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        wide = mask.repeat_interleave(width, dim=1) if width > 1 else mask
        return (arguments[0] * wide[:, None, :],)

    return multiply


def _freeze(model: PreTrainedModel) -> list[nn.Parameter]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    return trained


def _unfreeze(parameters: list[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.requires_grad_(True)


def sample_loss(model: PreTrainedModel, batch: Batch, generator: torch.Generator) -> torch.Tensor:
    """Returns the mean loss over the batch's samples: gold targets, or targets drawn (seeded)."""
    import torch

    if batch.targets:
        return model(**batch.inputs, **batch.targets).loss
    outputs = model(**batch.inputs)
    mask = batch.inputs["attention_mask"]
    if "start_logits" in outputs:
        spans = [outputs.start_logits, outputs.end_logits]
        losses = [_drawn_loss(logits.masked_fill(mask == 0, -1e9), generator) for logits in spans]
        return (losses[0] + losses[1]).mean() / 2
    if "logits" in outputs and outputs.logits.shape[-1] > 1:
        loss = _drawn_loss(outputs.logits, generator)  # [batch] or [batch, sequence]
        return loss.mean() if loss.dim() == 1 else (loss * mask).sum(dim=1).mean()
    vectors = outputs.logits if "logits" in outputs else outputs.last_hidden_state
    if vectors.dim() == 3:  # mean pooling over real tokens: [batch, sequence, hidden]
        weights = mask[:, :, None].to(vectors.dtype)
        vectors = (vectors * weights).sum(dim=1) / weights.sum(dim=1)
    noise = torch.randn(vectors.shape, generator=generator)
    return (vectors * noise).sum(dim=-1).mean()  # unit Gaussian likelihood: d/dm is noise . J


def _drawn_loss(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cross entropy against targets drawn from the logits' own distribution, no reduction."""
    import torch

    log_p = torch.log_softmax(logits, dim=-1)
    flat = log_p.detach().exp().reshape(-1, logits.shape[-1])
    drawn = torch.multinomial(flat, 1, generator=generator).reshape(logits.shape[:-1])
    return -log_p.gather(-1, drawn.unsqueeze(-1)).squeeze(-1)
