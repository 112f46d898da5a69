"""Makes one vector of a text's token vectors in torch, for batches with padding.

What `bertcompress.tasks.sentence_embedding` computes after the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bertcompress.tasks.sentence_embedding import SentenceEmbedding
from bertcompress.tasks.vector_steps import Dense, LayerNorm, Normalize, VectorStep

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_SMALLEST = 1e-9


def pooling_module(task: SentenceEmbedding) -> Any:
    """Returns a module that makes one vector of each text's token vectors.

    It takes the vectors, ``[batch, sequence, hidden]``, and which of them count, ``[batch,
    sequence]``.
    """
    import torch

    steps = [_module(step) for step in (*task.steps, *([Normalize()] if task.normalize else []))]

    class TextVectors(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps = torch.nn.ModuleList(steps)

        def forward(self, states: Tensor, mask: Tensor) -> Tensor:
            weights = mask.to(states.dtype)[:, :, None]  # [batch, sequence, 1]
            vector = torch.cat([_POOLED[name](states, weights) for name in task.poolings], dim=-1)
            for step in self.steps:
                vector = step(vector)
            return vector

    return TextVectors().eval()


def _mean(states: Tensor, weights: Tensor) -> Tensor:
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(_SMALLEST)


def _mean_sqrt(states: Tensor, weights: Tensor) -> Tensor:
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(_SMALLEST).sqrt()


def _weighted_mean(states: Tensor, weights: Tensor) -> Tensor:
    return _mean(states, weights * _positions(weights))


def _largest(states: Tensor, weights: Tensor) -> Tensor:
    return states.masked_fill(weights == 0, float("-inf")).amax(dim=1)


def _first(states: Tensor, weights: Tensor) -> Tensor:
    """The token with the largest of ``weight / position``: products are all that runtimes need."""
    return _at_largest(states, weights / _positions(weights))


def _last(states: Tensor, weights: Tensor) -> Tensor:
    return _at_largest(states, weights * _positions(weights))


def _positions(weights: Tensor) -> Tensor:
    """Returns the positions of the real tokens from 1 on, ``[batch, sequence, 1]``."""
    return weights.cumsum(dim=1).clamp_min(1)


def _at_largest(states: Tensor, keys: Tensor) -> Tensor:
    chosen = keys.argmax(dim=1, keepdim=True).expand(-1, 1, states.shape[-1])
    return states.gather(1, chosen)[:, 0]


_POOLED: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": _first,
    "max": _largest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}


def _module(step: VectorStep) -> nn.Module:
    """Returns a step as a torch module."""
    import torch

    class Unit(torch.nn.Module):
        def forward(self, vector: Tensor) -> Tensor:
            return torch.nn.functional.normalize(vector, p=2, dim=-1)

    if isinstance(step, Normalize):
        return Unit()
    if isinstance(step, LayerNorm):
        norm = torch.nn.LayerNorm(len(step.weight))
        _fill(norm.weight, step.weight)
        _fill(norm.bias, step.bias)
        return norm
    return _dense(step)


def _dense(step: Dense) -> nn.Module:
    import torch

    linear = _linear(step.weight, step.bias)
    residual = None if step.residual is None else _linear(step.residual, None)
    activation = getattr(torch.nn, step.activation)()

    class DenseStep(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.activation, self.residual = linear, activation, residual

        def forward(self, vector: Tensor) -> Tensor:
            answer: Tensor = self.activation(self.linear(vector))
            return answer if self.residual is None else answer + self.residual(vector)

    return DenseStep()


def _linear(
    weight: np.ndarray[Any, np.dtype[np.float64]],
    bias: np.ndarray[Any, np.dtype[np.float64]] | None,
) -> torch.nn.Linear:
    import torch

    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    _fill(linear.weight, weight)
    if bias is not None:
        _fill(linear.bias, bias)
    return linear


def _fill(parameter: Tensor, values: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    import torch

    parameter.data = torch.from_numpy(values.astype(np.float32))
