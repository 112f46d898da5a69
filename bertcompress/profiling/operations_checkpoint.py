"""The operations of a checkpoint, from the headers of its safetensors: no weight is read.

A safetensors file starts with eight bytes, the length of the JSON object that follows; it holds
each tensor's type, shape and place. Source: https://github.com/huggingface/safetensors, "Format".
torch stores a linear layer's weight ``[out, in]``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bertcompress.artifacts.model_config import task_of_class
from bertcompress.bert.families import FAMILIES, Family, known_family
from bertcompress.errors import LoadError
from bertcompress.profiling.operations import Operations, WeightUse, summed

_TABLES = ("word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight")
_PRETRAINING = ("cls.", "lm_head.", "vocab_", "generator_", "discriminator_")
"""What heads for pretraining are called; they stay behind in files."""
_KEYS_AND_VALUES = tuple(
    f"{name}.weight" for family in FAMILIES for name in family.layer.attention_inputs[1:]
)
_LARGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a safetensors file: its name, its type (``F32``, ``BF16``), shape and bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


def checkpoint_operations(folder: Path) -> Operations | None:
    """Counts a checkpoint's operations, None for a folder without safetensors of a known encoder.

    Raises:
        LoadError: If a safetensors file is damaged.
    """
    family, task = _family_and_task(folder)
    files = sorted(folder.glob("*.safetensors"))
    if family is None or task is None or not files:
        return None
    found = [tensor for file in files for tensor in stored_tensors(file)]
    tensors = [tensor for tensor in found if _is_used(tensor.name, family, task)]
    tables = [tensor for tensor in tensors if tensor.name.endswith(_TABLES)]
    weights = [tensor for tensor in tensors if not tensor.name.endswith(_TABLES)]
    return summed(
        [_product(tensor, task) for tensor in weights if len(tensor.shape) == 2],
        attention_width=sum(t.shape[0] for t in weights if t.name.endswith(_KEYS_AND_VALUES)),
        weight_bytes=sum(tensor.bytes for tensor in weights),
        bytes_per_token=sum(tensor.bytes // tensor.shape[0] for tensor in tables),
    )


def _family_and_task(folder: Path) -> tuple[Family | None, str | None]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError) as error:
        raise LoadError(f"can't read {folder / 'config.json'}: {error}") from error
    if not isinstance(config, dict):
        return None, None
    names = config.get("architectures") or [""]
    return known_family(config.get("model_type")), task_of_class(str(names[0]))


def _is_used(name: str, family: Family, task: str) -> bool:
    """Tells whether the task's model has this tensor; of classifiers only BERT's has a pooler."""
    if name.startswith(_PRETRAINING):
        return False
    pooled = task == "feature-extraction" or (task, family.name) == ("text-classification", "BERT")
    return "pooler." not in name or pooled


def _product(tensor: StoredTensor, task: str) -> WeightUse:
    outputs, inputs = tensor.shape
    is_head = (
        tensor.name.startswith(("classifier.", "pre_classifier.")) and task == "text-classification"
    )
    return WeightUse(inputs, outputs, per_sentence=is_head or "pooler." in tensor.name)


def stored_tensors(file: Path) -> Iterator[StoredTensor]:
    """Yields what the header of a safetensors file tells of each tensor.

    Raises:
        LoadError: If the file is damaged.
    """
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(length, _LARGEST_HEADER)))
        for name, facts in header.items():
            if name != "__metadata__":
                shape, (start, end) = tuple(facts["shape"]), facts["data_offsets"]
                size = end - start if math.prod(shape) else 0
                yield StoredTensor(name, str(facts["dtype"]), shape, size)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadError(f"{file} is damaged: {error}; make the artifact again") from error
