"""What K-prune calls the knowledge of a unit, from a layer on.

*Predictive*: how much the answers at temperature ``T`` diverge, ``T^2 KL``, when the unit is
removed; to second order ``1/2 F`` with ``F`` the Fisher information of the unit's mask. With an
answer ``y`` drawn from the model's own softmax ``p`` of the logits ``/ T``, it is ``T^2 mean g^2``
with ``g = d(-log p_y) / d mask``. *Representational*: the mean square of what the unit adds to the
residual stream, here a channel's ``mean_t x^2 mean_rows W^2``, and for a head the mean of its
channels; its predictive knowledge is divided by the head size to be one channel's as well.

Sources: Park, Choi and Kang 2024, arXiv:2308.03449, section 3.2; Kunstner, Balles and Hennig 2019,
arXiv:1905.12558, for why answers are drawn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.importance import mask_gradients
from bertcompress.bert.pruning.sublayers import UNITS, Unit
from bertcompress.bert.structure import encoder_of, projection, shape_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Vector = NDArray[np.float64]
Key = tuple[Unit, int]


@dataclass(frozen=True)
class Knowledge:
    """Of one sub-layer's units, float64 ``[units]`` each."""

    predictive: Vector
    representational: Vector


def knowledge(
    model: PreTrainedModel,
    first: int,
    batches: Sequence[Batch],
    states: Sequence[torch.Tensor],
    *,
    temperature: float,
    generator: torch.Generator,
) -> dict[Key, Knowledge]:
    """Measures all units from a layer on.

    Args:
        model: In evaluation mode; left as it was.
        first: The layer.
        batches: Real texts; targets are not looked at.
        states: For each batch the hidden states before that layer.
        temperature: Of the answers' softmax.
        generator: Draws the answers.
    """
    squares = _Squares()
    gradients: dict[Key, list[Vector]] = {}
    with (
        _from_layer(model, first) as given,
        _noting(model, first, squares),
        _softened(model, temperature),
    ):
        for batch, hidden in zip(batches, states, strict=True):
            given[:] = [hidden.clone()]  # one made in inference mode may not be saved for gradients
            squares.real = batch.inputs["attention_mask"].bool()
            by_mask = mask_gradients(model, Batch(batch.inputs, {}), generator)
            for (unit, layer), values in by_mask.items():
                gradients.setdefault((unit, layer + first), []).append(values)
    head_size = shape_of(model).head_size
    found = {}
    for key, parts in gradients.items():
        width = head_size if key[0] == "heads" else 1
        fisher = temperature**2 * np.square(np.concatenate(parts)).mean(axis=0)
        shown = squares.means(key).reshape(-1, width).mean(axis=1)
        found[key] = Knowledge(0.5 * fisher / width, shown)
    return found


class _Squares:
    """Mean squares of what each column of the output projections adds, while noting."""

    def __init__(self) -> None:
        self.real: Any = None
        self._sums: dict[Key, torch.Tensor] = {}
        self._tokens: dict[Key, int] = {}
        self._weights: dict[Key, torch.Tensor] = {}

    def add(self, key: Key, dense: Any, inputs: torch.Tensor) -> None:
        """Adds a run."""
        own = inputs.detach()[self.real].double().square()
        self._sums[key] = self._sums.get(key, 0.0) + own.sum(dim=0)
        self._tokens[key] = self._tokens.get(key, 0) + len(own)
        self._weights[key] = dense.weight.detach().double().square().mean(dim=0)

    def means(self, key: Key) -> Vector:
        """Returns ``mean_t x^2 mean_rows W^2`` of each column."""
        found: Vector = (self._sums[key] * self._weights[key] / self._tokens[key]).numpy()
        return found


@contextlib.contextmanager
def _from_layer(model: PreTrainedModel, first: int) -> Iterator[list[torch.Tensor]]:
    """Runs the model from a layer on, on the states in the list given, while open."""
    from torch import nn

    encoder = encoder_of(model)
    whole = encoder.layer
    given: list[torch.Tensor] = []

    def substitute(_: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if arguments:
            return (given[0], *arguments[1:]), keywords
        return arguments, {**keywords, "hidden_states": given[0]}

    hook = whole[first].register_forward_pre_hook(substitute, with_kwargs=True)
    encoder.layer = nn.ModuleList(whole[first:])
    try:
        yield given
    finally:
        encoder.layer = whole
        hook.remove()


@contextlib.contextmanager
def _noting(model: PreTrainedModel, first: int, squares: _Squares) -> Iterator[None]:
    """Notes the inputs of all output projections that run while open."""

    def hook_for(key: Key) -> Any:
        return lambda dense, arguments: squares.add(key, dense, arguments[0])

    with contextlib.ExitStack() as hooks:
        for index, layer in enumerate(encoder_of(model).layer):
            for unit in UNITS:
                dense = projection(layer, unit)
                if hasattr(dense, "weight"):
                    hook = dense.register_forward_pre_hook(hook_for((unit, index + first)))
                    hooks.callback(hook.remove)
        yield


@contextlib.contextmanager
def _softened(model: PreTrainedModel, temperature: float) -> Iterator[None]:
    """Divides the logits by the temperature while open."""
    with contextlib.ExitStack() as hooks:
        for name in ("classifier", "qa_outputs"):
            head = getattr(model, name, None)
            if head is not None:
                hook = head.register_forward_hook(lambda _, __, logits: logits / temperature)
                hooks.callback(hook.remove)
        yield
