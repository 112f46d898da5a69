"""Runs an encoder layer by layer and looks at its sub-layers.

A *sub-layer* is attention or FFN: an output projection adds to the residual stream, and a LayerNorm
follows. The whole model runs once to learn what its layers are called with (masks differ between
versions of Transformers); after that, layers run one at a time on hidden states at hand.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bertcompress.bert.sample_losses import Batch
from bertcompress.bert.structure import encoder_of, names_in, projection

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

Unit = Literal["heads", "ffn"]
UNITS: tuple[Unit, Unit] = ("heads", "ffn")


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


@dataclass(frozen=True)
class Seen:
    """One sub-layer's part in a run.

    Attributes:
        inputs: What goes into the output projection, ``[batch, sequence, inputs]``.
        residual: What its output is added to, ``[batch, sequence, hidden]``.
        total: Their sum before the LayerNorm, the projection's bias included.
    """

    inputs: torch.Tensor
    residual: torch.Tensor
    total: torch.Tensor


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


def run_layer(layer: Any, hidden: torch.Tensor, call: LayerCall) -> torch.Tensor:
    """Runs one layer and returns its output, ``[batch, sequence, hidden]``."""
    answer = layer(hidden, *call.arguments, **call.keywords)
    output: torch.Tensor = answer[0] if isinstance(answer, tuple) else answer
    return output


@contextlib.contextmanager
def watched(layer: Any, *units: Unit) -> Iterator[dict[Unit, Seen]]:
    """Notes what goes through sub-layers of a layer while open; the last run is what is there.

    The residual of the attention is the layer's own input, that of the FFN what the LayerNorm after
    the attention gives. The layer must be called with its input as the first argument.
    """
    seen: dict[Unit, Seen] = {}
    residuals: dict[Unit, torch.Tensor] = {}

    def note_input(_: Any, arguments: tuple[torch.Tensor, ...]) -> None:
        residuals["heads"] = arguments[0]

    def note_normed(_: Any, __: Any, output: torch.Tensor) -> None:
        residuals["ffn"] = output

    def hook_for(unit: Unit) -> Any:
        def note(_: Any, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            residual = residuals[unit]
            seen[unit] = Seen(arguments[0], residual, output + residual)

        return note

    with contextlib.ExitStack() as hooks:
        norm = layer.get_submodule(names_in(layer).attention_norm)
        hooks.callback(layer.register_forward_pre_hook(note_input).remove)
        hooks.callback(norm.register_forward_hook(note_normed).remove)
        for unit in units:
            hook = projection(layer, unit).register_forward_hook(hook_for(unit))
            hooks.callback(hook.remove)
        yield seen
