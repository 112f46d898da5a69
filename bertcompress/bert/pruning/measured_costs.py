"""What a sub-layer actually costs the answers when only units of it are gone.

The errors of `bertcompress.bert.pruning.brain_surgeon` are second-order estimates: good for the
order of units within a sub-layer, but between sub-layers, and for most units gone, they can be
wrong by orders of magnitude. So a few numbers of units are tried for real: the output projection is
fitted anew to the units that stay, with its bias, everything else is the original, and the answers
on texts held out are compared with the original's (`bertcompress.bert.answers.answer_loss` at
temperature 1: the Kullback-Leibler divergence in nats of classes, tags and spans, a squared error
of numbers and embeddings).

With ``x~ = [x, 1]``, ``G = sum_t v_t x~_t x~_t^T`` and ``S`` the inputs that stay and the 1::

    W~_S = W~ G_:S (G_SS + damping)^-1

Between the numbers tried, the estimate is scaled by the ratio of truth to estimate there, whose
logarithm is interpolated.

Source: the idea of scoring levels by the real loss is SPDY's, Frantar and Alistarh 2022,
arXiv:2201.13096, section 3.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.answers import answer_loss
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.brain_surgeon import DAMPING
from bertcompress.bert.pruning.refit import TokenWeights
from bertcompress.bert.pruning.sublayers import (
    Key,
    LayerCall,
    Walk,
    enter,
    leave,
    normed,
    sublayers_of,
)
from bertcompress.bert.structure import encoder_of, projection, shape_of
from bertcompress.numerics.gram import Gram
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_LEAST = 1e-12
_Entered = tuple[Batch, LayerCall, Any, "torch.Tensor", "torch.Tensor"]
"""A probe, its layers' call, the answer wanted, and what `enter` gave at a sub-layer."""


def divergence(
    original: PreTrainedModel, other: PreTrainedModel, batches: Sequence[Batch]
) -> float:
    """Returns how far the answers of another model are from the original's, 0 or more.

    Args:
        original: In evaluation mode.
        other: The same task and tokens.
        batches: Texts; targets are not looked at.
    """
    import torch

    with torch.inference_mode():
        losses = [
            (_loss(original, one.answers(original), one.answers(other), one), one.size)
            for one in batches
        ]
    return sum(loss * size for loss, size in losses) / sum(size for _, size in losses)


def divergence_unit(model: PreTrainedModel) -> str:
    """Returns what `divergence` is measured in, as people read it."""
    labels = int(getattr(model.config, "num_labels", 2))
    name = type(model).__name__
    if "For" not in name or ("SequenceClassification" in name and labels == 1):
        return "squared error"
    return "KL, nats"


def costs_alone(
    model: PreTrainedModel,
    batches: Sequence[Batch],
    probes: Sequence[Batch],
    kept: Mapping[Key, Sequence[Sequence[int]]],
    *,
    weights: TokenWeights | None = None,
    progress: Progress = silent,
) -> dict[Key, list[float]]:
    """Removes units of one sub-layer after the other, and compares the answers.

    Args:
        model: The original, in evaluation mode; left as it was.
        batches: Texts that the projections are fitted on.
        probes: Texts that the answers are compared on; targets are not looked at.
        kept: For each sub-layer choices of units that stay.
        weights: For each sub-layer and batch what an error at each position costs; None counts all
            real tokens alike.
        progress: Progress callback.

    Returns:
        For each sub-layer the divergence from the original's answers of each choice, 0 or more.
    """
    import torch

    found: dict[Key, list[float]] = {}
    with torch.no_grad():
        fitting, probing = Walk(model, batches), Walk(model, probes)
        wanted = [one.answers(model) for one in probes]
        for key in sublayers_of(model):
            if key not in kept:
                fitting.step(key)
                probing.step(key)
                continue
            progress("try sub-layers", len(found), len(kept))
            gram = _gram(fitting, key, weights)
            entered = [
                (probes[at], probing.calls[at], wanted[at], inputs, residual)
                for at, inputs, residual in probing.through(key)
            ]
            found[key] = [
                _cost(model, key, entered, _fitted(model, key, gram, units)) for units in kept[key]
            ]
    progress("try sub-layers", len(kept), len(kept))
    return found


def scaled(
    errors: NDArray[np.float64], removed: Sequence[int], truth: Sequence[float]
) -> NDArray[np.float64]:
    """Scales estimates so that they agree with what was tried.

    Args:
        errors: The estimate for every number of units removed, ``[units + 1]``, rising from 0.
        removed: Numbers of units that were tried, rising, above 0.
        truth: What they cost.

    Returns:
        ``[units + 1]``, float64; starts at 0 and always rises.
    """
    ratios = [
        max(cost, _LEAST) / max(float(errors[count]), _LEAST)
        for count, cost in zip(removed, truth, strict=True)
    ]
    everywhere = np.exp(np.interp(np.arange(len(errors)), removed, np.log(ratios)))
    never_falls = np.maximum.accumulate(np.concatenate([[0.0], (errors * everywhere)[1:]]))
    slope = max(float(never_falls[-1]), _LEAST) * 1e-6 / len(errors)  # what is free is kept too
    risen: NDArray[np.float64] = never_falls + slope * np.arange(len(errors))
    return risen


def _gram(walk: Walk, key: Key, weights: TokenWeights | None) -> torch.Tensor:
    """Walks on, and returns the weighted sum of outer products of the inputs and a 1, float64."""
    import torch

    gram: Gram | None = None
    for at, inputs, _ in walk.through(key):
        real = walk.calls[at].real
        x = inputs[real]
        x = torch.cat([x, x.new_ones(len(x), 1)], dim=1)
        gram = gram or Gram(x.shape[1])
        gram.add(x, weights[key][at][real] if weights else x.new_ones(len(x)))
    assert gram is not None  # there are texts
    return gram.total()


def _fitted(
    model: PreTrainedModel, key: Key, gram: torch.Tensor, units: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Returns weight ``[outputs, inputs that stay]``, bias, and which inputs stay."""
    import torch

    unit, layer = key
    dense = projection(encoder_of(model).layer[layer], unit)
    width = shape_of(model).head_size if unit == "heads" else 1
    columns = [one * width + offset for one in units for offset in range(width)]
    stay = torch.tensor([*columns, len(gram) - 1])
    both = torch.cat([dense.weight, dense.bias[:, None]], dim=1).double()
    left = gram[stay][:, stay].clone()
    pull = DAMPING * float(gram.diagonal()[:-1].mean())
    left.diagonal()[:-1].add_(pull)  # the bias is free
    right = both @ gram[:, stay]
    right[:, :-1] += pull * both[:, columns]
    found = torch.cholesky_solve(right.T.contiguous(), torch.linalg.cholesky(left)).T.float()
    return found[:, :-1], found[:, -1], columns


def _cost(
    model: PreTrainedModel,
    key: Key,
    entered: Sequence[_Entered],
    fitted: tuple[torch.Tensor, torch.Tensor, list[int]],
) -> float:
    unit, layer = key
    weight, bias, columns = fitted
    own = encoder_of(model).layer[layer]
    total = 0.0
    for batch, call, wanted, inputs, residual in entered:
        changed = inputs[..., columns] @ weight.T + bias + residual
        states = _run_on(model, key, normed(own, unit, changed), call)
        with _encoder_gives(model, states):
            total += _loss(model, wanted, batch.answers(model), batch) * batch.size
    return total / sum(batch.size for batch, *_ in entered)


def _run_on(
    model: PreTrainedModel, key: Key, states: torch.Tensor, call: LayerCall
) -> torch.Tensor:
    """Runs all sub-layers after one, and returns the last hidden states."""
    every = sublayers_of(model)
    for unit, layer in every[every.index(key) + 1 :]:
        own = encoder_of(model).layer[layer]
        states = leave(own, unit, *enter(own, unit, states, call))
    return states


def _loss(model: PreTrainedModel, wanted: Any, found: Any, batch: Batch) -> float:
    real = batch.inputs["attention_mask"].bool()
    problem = model.config.problem_type
    return max(0.0, float(answer_loss(wanted, found, real, temperature=1.0, problem=problem)))


@contextlib.contextmanager
def _encoder_gives(model: PreTrainedModel, states: torch.Tensor) -> Iterator[None]:
    """While open, the encoder gives these states; what comes before and after it runs."""
    from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

    encoder = encoder_of(model)
    encoder.forward = lambda *_, **__: BaseModelOutputWithPastAndCrossAttentions(
        last_hidden_state=states
    )
    try:
        yield
    finally:
        del encoder.forward
