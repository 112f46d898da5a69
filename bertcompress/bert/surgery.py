"""Cuts rows and columns out: what is removed is gone from the matrices, not masked.

A new model is built with the widths that stay, and each matrix is filled with the rows or columns
kept. Removing head *j* removes rows ``[j * head_size, (j + 1) * head_size)`` of query, key and
value (and of their biases) and the same columns of the attention's output projection; removing
neuron *j* removes row *j* of the first FFN matrix and column *j* of the second. Output biases and
LayerNorms stay, also where a sub-layer is emptied.

If only the numbers of layers changed, or all layers have all heads and one FFN width, the result
is a **stock** model that loads anywhere; else it is a pruned one (see `modeling_pruned_bert`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from bertcompress.bert.families import LayerNames, family_of
from bertcompress.bert.pruning.selection import Kept
from bertcompress.bert.structure import EncoderShape, shape_of
from bertcompress.errors import UsageError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel

_OF_THE_SHAPE = ("model_type", "auto_map", "layer_heads", "layer_ffn", "head_size")
"""Fields of a configuration that another shape says again, or that are no longer true of it."""


def cut(
    model: PreTrainedModel,
    *,
    heads: Kept | None = None,
    ffn: Kept | None = None,
    layers: Sequence[int] | None = None,
) -> PreTrainedModel:
    """Returns a new, smaller model; the given one is left as it was.

    Args:
        model: Stock or pruned.
        heads: For each layer the heads that stay, rising; None keeps all.
        ffn: For each layer the neurons that stay, rising; None keeps all.
        layers: The layers that stay, rising; None keeps all.

    Returns:
        A model in evaluation mode, stock where that can express it.

    Raises:
        UsageError: If no layer stays, or what should stay is not there.
    """
    shape = shape_of(model)
    heads = heads if heads is not None else tuple(tuple(range(n)) for n in shape.layer_heads)
    ffn = ffn if ffn is not None else tuple(tuple(range(n)) for n in shape.layer_ffn)
    stay = list(layers) if layers is not None else list(range(shape.layers))
    _check_kept("heads", heads, shape.layer_heads)
    _check_kept("neurons", ffn, shape.layer_ffn)
    _check_rising("layers", stay, shape.layers)
    if not stay:
        raise UsageError("a model needs at least one layer; name one that stays")
    new_shape = EncoderShape(
        tuple(len(heads[index]) for index in stay),
        tuple(len(ffn[index]) for index in stay),
        shape.head_size,
        shape.hidden_size,
    )
    family = family_of(model.config)
    in_layer = re.compile(rf"(?P<before>.*{family.encoder}\.layer\.)(?P<index>\d+)\.(?P<name>.+)")
    weights = {}
    for name, tensor in model.state_dict().items():
        match = in_layer.fullmatch(name)
        if match is None:
            weights[name] = tensor
            continue
        index = int(match["index"])
        if index not in stay:
            continue
        columns = _columns_of(heads[index], shape.head_size)
        kept = _slice(family.layer, match["name"], tensor, columns, ffn[index])
        if kept is not None:
            weights[f"{match['before']}{stay.index(index)}.{match['name']}"] = kept
    smaller = blank(model, new_shape)
    smaller.load_state_dict(weights, strict=True)
    return smaller


def _check_kept(what: str, kept: Kept, counts: Sequence[int]) -> None:
    if len(kept) != len(counts):
        raise UsageError(f"{what} that stay must be told for {len(counts)} layers, got {len(kept)}")
    for layer, (units, count) in enumerate(zip(kept, counts, strict=True)):
        _check_rising(f"{what} of layer {layer}", units, count)


def _check_rising(what: str, indices: Sequence[int], count: int) -> None:
    wrong = list(indices) != sorted(set(indices)) or any(not 0 <= at < count for at in indices)
    if wrong:
        raise UsageError(f"{what} that stay must rise within 0..{count - 1}, got {list(indices)}")


def _columns_of(heads: Sequence[int], head_size: int) -> list[int]:
    return [head * head_size + offset for head in heads for offset in range(head_size)]


def _slice(
    names: LayerNames,
    name: str,
    tensor: torch.Tensor,
    head_columns: Sequence[int],
    ffn: Sequence[int],
) -> torch.Tensor | None:
    """Returns what stays of one layer's tensor, or None if nothing does."""
    import torch

    module, _, kind = name.rpartition(".")
    rows: Sequence[int] | None = None
    columns: Sequence[int] | None = None
    if module in names.attention_inputs:
        rows = head_columns
    elif module == names.attention_output and kind == "weight":
        columns = head_columns
    elif module == names.ffn_input:
        rows = ffn
    elif module == names.ffn_output and kind == "weight":
        columns = ffn
    if rows is not None:
        return tensor[torch.tensor(rows, dtype=torch.long)] if rows else None
    if columns is not None:
        return tensor[:, torch.tensor(columns, dtype=torch.long)] if columns else None
    return tensor


def blank(model: PreTrainedModel, shape: EncoderShape) -> PreTrainedModel:
    """Returns a model like the given one with other widths and random weights.

    Args:
        model: Stock or pruned.
        shape: The widths.

    Returns:
        A model in evaluation mode; the weights depend on torch's own seed.
    """
    import torch

    from bertcompress.bert.register import register

    register()
    config, stock = config_for(model.config, shape)
    model_class = _class_for(model, stock=stock)
    arguments = {}
    bare = model.base_model_prefix not in dict(model.named_children())
    if bare and family_of(model.config).has_pooler:
        has_pooler = any(".pooler." in f".{name}" for name in model.state_dict())
        arguments = {"add_pooling_layer": has_pooler}
    with torch.random.fork_rng(devices=[]):
        model_of_shape = model_class(config, **arguments)
    model_of_shape.config.architectures = [model_class.__name__]
    return cast("PreTrainedModel", model_of_shape.eval())


def config_for(config: PreTrainedConfig, shape: EncoderShape) -> tuple[PreTrainedConfig, bool]:
    """Returns a configuration for the shape, and whether it is a stock one."""
    import transformers

    from bertcompress.bert.register import pruned_class

    family = family_of(config)
    fields: dict[str, Any] = config.to_dict()
    for name in (*_OF_THE_SHAPE, "pruned_heads"):
        fields.pop(name, None)
    fields[family.layers_field] = shape.layers
    full_heads = shape.hidden_size // shape.head_size
    if set(shape.layer_heads) <= {full_heads} and len(set(shape.layer_ffn)) == 1:
        width = shape.layer_ffn[0]
        if width > 0:
            stock: Any = getattr(transformers, f"{family.prefix}Config")
            return stock(**{**fields, family.ffn_field: width}), True
    pruned = pruned_class(family, "Config")(
        layer_heads=shape.layer_heads,
        layer_ffn=shape.layer_ffn,
        head_size=shape.head_size,
        **fields,
    )
    return pruned, False


def stock_config(model: PreTrainedModel) -> PreTrainedConfig:
    """Returns a stock configuration with the model's labels, lengths and vocabulary.

    The numbers of heads and neurons in it are those of the unpruned model: a graph carries its own.
    """
    import transformers

    stock: Any = getattr(transformers, f"{family_of(model.config).prefix}Config")
    fields = {
        key: value for key, value in model.config.to_dict().items() if key not in _OF_THE_SHAPE
    }
    fields["architectures"] = [type(model).__name__.removeprefix("Pruned")]
    return cast("PreTrainedConfig", stock(**fields))


def _class_for(model: PreTrainedModel, *, stock: bool) -> Any:
    import transformers

    from bertcompress.bert.register import pruned_class

    family = family_of(model.config)
    name = type(model).__name__.removeprefix("Pruned")
    if stock:
        return getattr(transformers, name)
    return pruned_class(family, name.removeprefix(family.prefix))
