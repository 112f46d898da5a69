"""Runs an encoder one sub-layer after the other.

A *sub-layer* is attention or FFN: an output projection adds to the residual stream, and a LayerNorm
follows. The embeddings run once to learn what the layers are called with (masks differ between
versions of Transformers); after that, sub-layers run one at a time on hidden states at hand, in two
halves: `enter` gives what the output projection takes, `leave` what the sub-layer gives.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.structure import encoder_of, layers_of, names_in, projection, shape_of

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

Unit = Literal["heads", "ffn"]
UNITS: tuple[Unit, Unit] = ("heads", "ffn")
Key = tuple[Unit, int]
"""A sub-layer: its kind and its layer."""


@dataclass(frozen=True)
class LayerCall:
    """What a layer is called with besides its hidden states.

    Attributes:
        hidden: The first layer's input, ``[batch, sequence, hidden]``.
        arguments: Further positional arguments.
        keywords: Keyword arguments.
        real: Which positions are real tokens, bool ``[batch, sequence]``.
    """

    hidden: torch.Tensor
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    real: torch.Tensor


def sublayers_of(model: PreTrainedModel) -> list[Key]:
    """Returns all sub-layers in the order in which they run."""
    return [(unit, layer) for layer in range(len(encoder_of(model).layer)) for unit in UNITS]


def projections_of(
    model: PreTrainedModel, units: Sequence[Unit] = UNITS
) -> dict[Key, tuple[nn.Linear, int]]:
    """Returns the output projection and the width of a unit of each sub-layer that has any.

    Args:
        model: Left as it was.
        units: The kinds of sub-layer to look at.
    """
    head_size = shape_of(model).head_size
    found: dict[Key, tuple[nn.Linear, int]] = {}
    for layer in layers_of(model):
        if "heads" in units and layer.attention_output is not None:
            found["heads", layer.index] = layer.attention_output, head_size
        if "ffn" in units and layer.ffn_output is not None:
            found["ffn", layer.index] = layer.ffn_output, 1
    return found


class _StopError(Exception):
    """Ends a run of the whole model at its first layer."""


def first_calls(model: PreTrainedModel, batches: Sequence[Batch]) -> list[LayerCall]:
    """Runs the embeddings and returns, for each batch, what the first layer is called with."""
    import torch

    calls: list[LayerCall] = []
    layer: nn.Module = encoder_of(model).layer[0]
    real: torch.Tensor

    def keep(_: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        rest = dict(keywords)
        hidden, *others = arguments if arguments else (rest.pop("hidden_states"),)
        calls.append(LayerCall(hidden, tuple(others), rest, real))
        raise _StopError

    hook = layer.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        for batch in batches:
            real = batch.inputs["attention_mask"].bool()
            with torch.inference_mode(), contextlib.suppress(_StopError):
                model(**batch.inputs)
    finally:
        hook.remove()
    return calls


def enter(
    layer: Any, unit: Unit, hidden: torch.Tensor, call: LayerCall
) -> tuple[torch.Tensor, torch.Tensor]:
    """Runs a sub-layer up to its output projection.

    Args:
        layer: The layer.
        unit: Its attention (``heads``), or its FFN.
        hidden: What goes into the sub-layer, ``[batch, sequence, hidden]``: the FFN takes what
            `leave` gave for the attention.
        call: What the layer is called with besides.

    Returns:
        What goes into the projection, ``[batch, sequence, inputs]``, and the residual that its
        output is added to, ``[batch, sequence, hidden]``.
    """
    if unit == "ffn":
        inputs = hidden
        for name in names_in(layer).ffn_first if hasattr(projection(layer, unit), "weight") else ():
            inputs = layer.get_submodule(name)(inputs)
        return inputs, hidden
    entered: list[torch.Tensor] = []

    def keep(_: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        entered.append(arguments[0])
        raise _StopError

    hook = projection(layer, unit).register_forward_pre_hook(keep)
    try:
        with contextlib.suppress(_StopError):
            layer(hidden, *call.arguments, **call.keywords)
    finally:
        hook.remove()
    return entered[0], hidden  # every layer runs its attention


def leave(layer: Any, unit: Unit, inputs: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """Runs the rest of a sub-layer: projection, residual, LayerNorm; ``[batch, sequence, hidden]``.

    Args:
        layer: The layer.
        unit: Its attention (``heads``), or its FFN.
        inputs: What goes into the projection.
        residual: What its output is added to.
    """
    return normed(layer, unit, projection(layer, unit)(inputs) + residual)


def normed(layer: Any, unit: Unit, total: torch.Tensor) -> torch.Tensor:
    """Returns what a sub-layer makes of the sum of its projection's output and the residual."""
    names = names_in(layer)
    norm = layer.get_submodule(names.attention_norm if unit == "heads" else names.ffn_norm)
    output: torch.Tensor = norm(total)
    return output


class Walk:
    """Hidden states of texts on their way through a model, one sub-layer after the other.

    Args:
        model: In evaluation mode; left as it was.
        batches: The texts.

    Attributes:
        calls: What the first layer is called with, for each batch.
    """

    def __init__(self, model: PreTrainedModel, batches: Sequence[Batch]) -> None:
        self._layers = encoder_of(model).layer
        self.calls: Sequence[LayerCall] = first_calls(model, batches)
        self._states = [call.hidden for call in self.calls]

    def through(self, key: Key) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        """Takes all texts past the next sub-layer; to be iterated to its end, without gradients.

        Args:
            key: The sub-layer that is next.

        Yields:
            The number of a batch, what goes into the projection, and the residual, as `enter`.
        """
        unit, layer = key
        own = self._layers[layer]
        for number, call in enumerate(self.calls):
            inputs, residual = enter(own, unit, self._states[number], call)
            yield number, inputs, residual
            self._states[number] = leave(own, unit, inputs, residual)

    def step(self, key: Key) -> None:
        """Takes all texts past the next sub-layer."""
        for _ in self.through(key):
            pass
