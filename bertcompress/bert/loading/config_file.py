"""Reads ``config.json`` and a model's other JSON files.

Its numbers are held to what a model can have before anything is built.

A stranger's file may ask for a billion layers or labels, which Transformers starts to build, or
have a text where a number belongs, which is noticed in the middle of work. Whether the numbers are
those of the weights is looked at in `bertcompress.bert.loading.sizes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.bert.families import check_model_type, longest_text
from bertcompress.bert.loading.config_fields import plain_fields
from bertcompress.bert.loading.legacy import is_legacy, modern_config
from bertcompress.bert.loading.weights import sentence
from bertcompress.errors import LoadError
from bertcompress.progress import Note, logged
from bertcompress.reading import read_json, reason

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

CONFIG_NAME = "config.json"
_MOST = 2**31 - 1
_MOST_LAYERS, _MOST_LABELS = 10_000, 100_000
_COUNTS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("vocab_size", "hidden_size", "intermediate_size"), (1, _MOST)),
    **dict.fromkeys(("embedding_size", "dim", "hidden_dim", "head_size"), (1, _MOST)),
    **dict.fromkeys(("num_attention_heads", "n_heads", "max_position_embeddings"), (1, _MOST)),
    **dict.fromkeys(("num_hidden_layers", "n_layers"), (0, _MOST_LAYERS)),
    **dict.fromkeys(("type_vocab_size", "pad_token_id"), (0, _MOST)),
    "num_labels": (1, _MOST_LABELS),
}
"""The least and the most of each number that decides a size; each may be missing."""


def json_object(path: Path) -> dict[str, object]:
    """Returns what a model's JSON file holds.

    Raises:
        LoadError: If it can't be read or is no object.
    """
    try:
        raw = read_json(path)
    except (OSError, ValueError) as error:
        raise LoadError(
            f"{path} is not JSON: {reason(error)}; restore it from the original"
        ) from error
    if not isinstance(raw, dict):
        raise LoadError(f"{path} must hold a JSON object; restore it from the original")
    return raw


def read_fields(folder: Path) -> dict[str, object]:
    """Returns what a model's ``config.json`` holds.

    Raises:
        LoadError: It can't be read, or a number or a list can't be meant.
    """
    path = folder / CONFIG_NAME
    fields = json_object(path)
    for name, (least, most) in _COUNTS.items():
        value = fields.get(name)
        if value is not None and not _is_count(value, least, most):
            raise LoadError(
                f"{path} has {name} {str(value)[:40]!r}, which must be a whole number from {least} "
                f"to {most:,}; restore it from the original"
            )
    for name, kind in (("architectures", str), ("layer_heads", int), ("layer_ffn", int)):
        entries = fields.get(name)
        if entries is not None and not _is_list(entries, kind):
            raise LoadError(
                f"{path} has {name} {str(entries)[:40]!r}, which must be a list of "
                f"{'names' if kind is str else 'whole numbers'}; restore it from the original"
            )
    if longest_text(fields) < 1:
        raise LoadError(
            f"{path} leaves no position for a text: max_position_embeddings is "
            f"{fields.get('max_position_embeddings')}, and they begin after pad_token_id "
            f"{fields.get('pad_token_id')}; restore it from the original"
        )
    return fields


def read_config(folder: Path, name: str, *, note: Note = logged) -> PreTrainedConfig:
    """Reads the configuration in a folder, as `load_config`; `name` is for messages."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from bertcompress.bert.register import register

    fields = read_fields(folder)
    model_type = fields.get("model_type")
    check_model_type(model_type)
    register()
    plain = plain_fields(fields, name, note=note)
    try:
        config = CONFIG_MAPPING[str(model_type)].from_dict(plain)
    except (
        *(OSError, ValueError, KeyError, TypeError, AttributeError),
        StrictDataclassError,
    ) as error:
        raise LoadError(f"the config.json of {name} can't be used: {sentence(error)}") from error
    return modern_config(config) if is_legacy(config) else config


def _is_count(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_list(entries: object, kind: type) -> bool:
    if not isinstance(entries, list):
        return False
    return all(_is_count(one, 0, _MOST) if kind is int else isinstance(one, str) for one in entries)
