"""The operations of a checkpoint, from the headers of its safetensors: no weight is read.

torch stores a linear layer's weight ``[out, in]``.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from bertcompress.artifacts.model_config import task_of_class
from bertcompress.artifacts.stored_tensors import StoredTensor, stored_tensors
from bertcompress.bert.families import FAMILIES, Family, known_family
from bertcompress.bert.loading.config_file import CONFIG_NAME, read_fields
from bertcompress.profiling.operations import Operations, WeightUse, summed

_TABLES = ("word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight")
_PRETRAINING = ("cls.", "lm_head.", "vocab_", "generator_", "discriminator_")
"""What heads for pretraining are called; they stay behind in files."""
_KEYS_AND_VALUES = tuple(
    f"{name}.weight" for family in FAMILIES for name in family.layer.attention_inputs[1:]
)


def checkpoint_operations(folder: Path) -> Operations | None:
    """Counts a checkpoint's operations, None for a folder without safetensors of a known encoder.

    Raises:
        LoadError: If a safetensors file is damaged.
    """
    family, task = _family_and_task(folder)
    files = sorted(folder.glob("*.safetensors"))
    if family is None or task is None or not files:
        return None
    stored = [tensor for file in files for tensor in stored_tensors(file)]
    tensors = [tensor for tensor in stored if tensor.bytes and _is_used(tensor.name, family, task)]
    tables = [it for it in tensors if it.name.endswith(_TABLES) and it.shape]
    weights = [tensor for tensor in tensors if not tensor.name.endswith(_TABLES)]
    return summed(
        [_product(tensor, task) for tensor in weights if len(tensor.shape) == 2],
        attention_width=sum(
            t.shape[0] for t in weights if t.name.endswith(_KEYS_AND_VALUES) and t.shape
        ),
        weight_bytes=sum(tensor.bytes for tensor in weights),
        bytes_per_token=sum(tensor.bytes // tensor.shape[0] for tensor in tables),
    )


def _family_and_task(folder: Path) -> tuple[Family | None, str | None]:
    if not (folder / CONFIG_NAME).is_file():
        return None, None
    config = read_fields(folder)
    name, *_ = cast("list[str]", config.get("architectures") or [""])
    return known_family(config.get("model_type")), task_of_class(name)


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
