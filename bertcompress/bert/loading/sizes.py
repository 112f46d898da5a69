"""Whether ``config.json`` fits the weights, told by their shapes before anything is built.

Transformers builds what the configuration asks for, whatever the file holds: of a billion layers
or tokens that takes all memory there is, long before the sizes are compared. So what is far from
the file's own shapes is refused here; what is near them is built, and
`bertcompress.bert.loading.weights.check_fit` names the weights that differ.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bertcompress.artifacts.stored_tensors import stored_tensors
from bertcompress.bert.families import Family, family_of
from bertcompress.errors import LoadError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_FAR, _FEW = 2, 8
Shapes = Mapping[str, tuple[int, ...]]

_TABLES = {
    "word_embeddings.weight": "vocab_size",
    "position_embeddings.weight": "max_position_embeddings",
    "token_type_embeddings.weight": "type_vocab_size",
}


def check_sizes(folder: Path, name: str, config: PreTrainedConfig) -> None:
    """Fails where the configuration asks for far more layers, heads or rows than there are.

    Args:
        folder: Holds the weights.
        name: What the user typed, for messages.
        config: The configuration.

    Raises:
        LoadError: It does.
    """
    for field, asked, found in _compared(_shapes(folder), cast("Any", config), family_of(config)):
        if asked > _FAR * (found + _FEW):
            raise LoadError(
                f"the weights of {name} do not fit its config.json, which says {asked:,} for "
                f"{field}, and the weights have {found:,}; restore config.json or the weights"
            )


def _shapes(folder: Path) -> Shapes:
    """Returns the shape of each weight; of files that can't be read none, which is told later."""
    shapes: dict[str, tuple[int, ...]] = {}
    files = sorted(folder.glob("*.safetensors"))
    for file in files:
        with contextlib.suppress(LoadError):
            shapes |= {tensor.name: tensor.shape for tensor in stored_tensors(file)}
    for file in () if files else sorted(folder.glob("pytorch_model*.bin")):
        with contextlib.suppress(Exception):
            shapes |= {**_pickled_shapes(file)}
    return shapes


def _pickled_shapes(file: Path) -> Shapes:
    import torch

    weights = torch.load(file, map_location="meta", weights_only=True)
    return {key: tuple(tensor.shape) for key, tensor in weights.items()}


def _compared(shapes: Shapes, facts: Any, family: Family) -> Iterator[tuple[str, int, int]]:
    """Yields each size with its name, as asked for and as found."""
    stem = re.compile(rf"(?:.*\.)?{family.encoder}\.layer\.(\d+)\.(.+)")
    layers: dict[int, dict[str, tuple[int, ...]]] = {}
    for key, shape in shapes.items():
        match = stem.fullmatch(key)
        if match is not None:
            layers.setdefault(int(match[1]), {})[match[2]] = shape
        for table, field in _TABLES.items():
            if key.endswith(f"embeddings.{table}") and len(shape) == 2:
                yield field, int(getattr(facts, field, 0)), shape[0]
    if layers:
        yield family.layers_field, int(facts.num_hidden_layers), max(layers) + 1
    head_size = getattr(facts, "head_size", None) or facts.hidden_size // facts.num_attention_heads
    for at, shapes_here in layers.items():
        heads = getattr(facts, "layer_heads", None) or [facts.num_attention_heads] * (at + 1)
        ffn = getattr(facts, "layer_ffn", None) or [getattr(facts, family.ffn_field)] * (at + 1)
        query = shapes_here.get(f"{family.layer.attention_inputs[0]}.weight", ())
        neurons = shapes_here.get(f"{family.layer.ffn_input}.weight", ())
        if len(query) == 2 and at < len(heads):
            yield "hidden_size", int(facts.hidden_size), query[1]
            yield f"the width of the heads in layer {at}", heads[at] * head_size, query[0]
        if len(neurons) == 2 and at < len(ffn):
            yield f"{family.ffn_field} in layer {at}", int(ffn[at]), neurons[0]
