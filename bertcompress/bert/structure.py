"""Where the prunable parts of an encoder are, found by the names that `families` has for them.

Every prunable unit is a block of **input columns of an output projection**: head *j* is the
columns ``[j * head_size, (j + 1) * head_size)`` of the attention's (BERT calls it
``attention.output.dense``), FFN neuron *j* is column *j* of the FFN's (``output.dense``). What
feeds a column (rows of query, key, value; rows of the first FFN matrix) goes with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from bertcompress.bert.families import FAMILIES, LayerNames, family_of
from bertcompress.errors import LoadError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel


@dataclass(frozen=True)
class EncoderShape:
    """The widths of an encoder.

    Attributes:
        layer_heads: Attention heads of each layer.
        layer_ffn: FFN neurons of each layer.
        head_size: The width of one head.
        hidden_size: The width of the residual stream.
    """

    layer_heads: tuple[int, ...]
    layer_ffn: tuple[int, ...]
    head_size: int
    hidden_size: int

    @property
    def layers(self) -> int:
        """The number of layers."""
        return len(self.layer_heads)


@dataclass(frozen=True)
class LayerModules:
    """One layer's matrices; those of an emptied sub-layer are None.

    Attributes:
        index: The layer's position.
        layer: The whole layer.
        attention_output: ``[hidden, heads * head_size]``; its input columns are the heads.
        ffn_output: ``[hidden, neurons]``; its input columns are the neurons.
    """

    index: int
    layer: nn.Module
    attention_output: nn.Linear | None
    ffn_output: nn.Linear | None


def check_known(config: PreTrainedConfig) -> None:
    """Fails with a LoadError unless the configuration is of an encoder this tool knows."""
    name = family_of(config).name
    for field in ("is_decoder", "add_cross_attention"):
        if getattr(config, field, False):
            raise LoadError(
                f"this {name} is a decoder ({field} is set); bertcompress needs an encoder"
            )
    positions = getattr(config, "position_embedding_type", "absolute")
    if positions != "absolute":
        raise LoadError(
            f"this {name} has {positions} positions (position_embedding_type); "
            "bertcompress reads absolute ones"
        )


def encoder_of(model: PreTrainedModel) -> Any:
    """Returns the module whose ``layer`` list holds the encoder's layers."""
    base = getattr(model, model.base_model_prefix, model)
    return getattr(base, family_of(model.config).encoder)


def names_in(layer: nn.Module) -> LayerNames:
    """Returns what a layer's modules are called, told by those that are there."""
    modules = dict(layer.named_modules())
    return next(one.layer for one in FAMILIES if one.layer.ffn_output in modules)


def projection(layer: nn.Module, unit: Literal["heads", "ffn"]) -> Any:
    """Returns a sub-layer's output projection; of an emptied one only a ``bias`` is left."""
    names = names_in(layer)
    return layer.get_submodule(names.attention_output if unit == "heads" else names.ffn_output)


def layers_of(model: PreTrainedModel) -> Iterator[LayerModules]:
    """Yields each layer's matrices, first layer first."""
    from torch import nn

    for index, layer in enumerate(encoder_of(model).layer):
        attention, ffn = projection(layer, "heads"), projection(layer, "ffn")
        yield LayerModules(
            index=index,
            layer=layer,
            attention_output=attention if isinstance(attention, nn.Linear) else None,
            ffn_output=ffn if isinstance(ffn, nn.Linear) else None,
        )


def shape_of(model: PreTrainedModel) -> EncoderShape:
    """Reads the widths from the matrices themselves, not from the configuration."""
    config = cast("Any", model.config)
    head_size = int(
        getattr(config, "head_size", 0) or config.hidden_size // config.num_attention_heads
    )
    heads, ffn = [], []
    for layer in layers_of(model):
        attention, output = layer.attention_output, layer.ffn_output
        heads.append(attention.in_features // head_size if attention is not None else 0)
        ffn.append(output.in_features if output is not None else 0)
    return EncoderShape(tuple(heads), tuple(ffn), head_size, int(config.hidden_size))
