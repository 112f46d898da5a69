"""The encoder without padding: the tokens of all texts in one long row.

    [batch, sequence, hidden]  --pack-->  [tokens, hidden]  --layers-->  --unpack-->  as before

Padding is 54 % of SQuAD at 384 tokens and 89 % of CoLA at 128, and a padded token costs as much as
a real one. Linear layers and norms look at one token at a time, so they run on the row as it is;
attention is told where each text begins (`Packing.starts`) and looks at each text for itself. The
embeddings and the task's head run padded as before, which is little work, and so every encoder
this tool knows, pruned or not, is run by the same code.

On a GPU attention is one kernel for all texts (``torch.nn.attention.varlen``, FlashAttention's
variable-length form: float16 or bfloat16). On the CPU each text is one call.
Sources: ByteTransformer (Zhai et al., 2023); arXiv 2107.02027 (the shares of padding).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from bertcompress.bert.families import family_of
from bertcompress.bert.structure import encoder_of, names_in, shape_of
from bertcompress.errors import MissingDependencyError
from bertcompress.runtimes.real_tokens import real_tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Packing:
    """Where the real tokens of a batch are.

    Attributes:
        positions: Of each real token in the padded batch, flattened; int64 ``[tokens]``.
        starts: Where each text begins in the row, and its end; int32 ``[batch + 1]``.
        lengths: The tokens of each text.
    """

    positions: torch.Tensor
    starts: torch.Tensor
    lengths: tuple[int, ...]

    @property
    def longest(self) -> int:
        """The tokens of the longest text."""
        return max(self.lengths)


def packing_of(mask: NDArray[np.generic], device: str) -> Packing:
    """Returns where a mask's real tokens are.

    Args:
        mask: 1 for a real token, ``[batch, sequence]``, on the CPU: the GPU is not waited for.
        device: Where the packing is used.
    """
    positions, starts = real_tokens(mask)
    return Packing(
        positions=torch.from_numpy(positions).to(device),
        starts=torch.from_numpy(starts).to(device),
        lengths=tuple(np.diff(starts).tolist()),
    )


Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Packing], torch.Tensor]
"""Attention of packed queries, keys and values ``[tokens, heads, head size]``, as many out."""


def attend_each(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packing: Packing
) -> torch.Tensor:
    """Runs attention on one text after the other; on any device, in any type."""
    parts = (torch.split(one, list(packing.lengths)) for one in (query, key, value))
    attended = [
        nn.functional.scaled_dot_product_attention(*(one.transpose(0, 1) for one in text))
        for text in zip(*parts, strict=True)
    ]
    return torch.cat([one.transpose(0, 1) for one in attended])


def varlen_attention() -> Attend:
    """Returns attention on all texts in one kernel, for GPUs.

    Raises:
        MissingDependencyError: If this torch is older than 2.10 and has no such kernel.
    """
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError as error:
        raise MissingDependencyError("torch 2.10 or newer", "gpu", "torch-cuda-packed") from error

    def attend(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packing: Packing
    ) -> torch.Tensor:
        starts, longest = packing.starts, packing.longest
        found = varlen_attn(query, key, value, starts, starts, longest, longest)
        assert isinstance(found, torch.Tensor)  # a pair only where more was asked for
        return found

    return attend


class PackedLayer(nn.Module):
    """One layer on packed tokens; its modules are the stock layer's own.

    Args:
        layer: The stock layer, pruned or not.
        head_size: The width of a head.
        attend: How attention is computed.
    """

    def __init__(self, layer: nn.Module, head_size: int, attend: Attend) -> None:
        super().__init__()
        names = names_in(layer)
        self._head_size, self._attend = head_size, attend
        self.attention_output: Any = layer.get_submodule(names.attention_output)
        self.attention_norm = layer.get_submodule(names.attention_norm)
        self.ffn_output: Any = layer.get_submodule(names.ffn_output)
        self.ffn_norm = layer.get_submodule(names.ffn_norm)
        has_heads = hasattr(self.attention_output, "weight")  # an emptied one has only a bias
        has_ffn = hasattr(self.ffn_output, "weight")
        self.attention_inputs = nn.ModuleList(
            layer.get_submodule(one) for one in (names.attention_inputs if has_heads else ())
        )
        self.ffn_first = nn.ModuleList(
            layer.get_submodule(one) for one in (names.ffn_first if has_ffn else ())
        )

    def forward(self, hidden: torch.Tensor, packing: Packing) -> torch.Tensor:
        """Returns the layer's output, ``[tokens, hidden]``."""
        attended = hidden
        if len(self.attention_inputs):
            query, key, value = (
                one(hidden).unflatten(-1, (-1, self._head_size)) for one in self.attention_inputs
            )
            attended = self._attend(query, key, value, packing).flatten(-2)
        hidden = self.attention_norm(self.attention_output(attended) + hidden)
        inner = hidden
        for module in self.ffn_first:
            inner = module(inner)
        normed: torch.Tensor = self.ffn_norm(self.ffn_output(inner) + hidden)
        return normed


class PackedEncoder(nn.Module):
    """Takes the place of a model's encoder; `packing` is to be set before each run.

    Args:
        model: Whose encoder it takes the place of, see `pack_encoder`.
        attend: How attention is computed.
    """

    def __init__(self, model: PreTrainedModel, attend: Attend) -> None:
        super().__init__()
        head_size = shape_of(model).head_size
        self.layers = nn.ModuleList(
            PackedLayer(one, head_size, attend) for one in encoder_of(model).layer
        )
        self.packing: Packing | None = None

    def forward(self, *arguments: torch.Tensor, **keywords: Any) -> Any:
        """Returns the last hidden states ``[batch, sequence, hidden]``, zeros where padding is.

        Args:
            arguments: The embeddings, first or by the name that the model's family gives them.
            keywords: The same; masks and all else are not looked at.
        """
        named: Any = keywords.get("hidden_states", keywords.get("x"))
        embeddings: torch.Tensor = arguments[0] if arguments else named
        packing = self.packing
        assert packing is not None  # TorchRuntime sets it
        rows = embeddings.flatten(0, 1)
        hidden = rows[packing.positions]
        for layer in self.layers:
            hidden = layer(hidden, packing)
        whole = torch.zeros_like(rows).index_copy_(0, packing.positions, hidden)
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=whole.view_as(embeddings)
        )


def pack_encoder(model: PreTrainedModel, attend: Attend) -> PackedEncoder:
    """Puts a packed encoder in the place of a model's own, in place, and returns it."""
    packed = PackedEncoder(model, attend)
    base = getattr(model, model.base_model_prefix, model)
    setattr(base, family_of(model.config).encoder, packed)
    return packed
