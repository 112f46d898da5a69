"""Reads a model's ``config.json``, and its other JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.bert.families import check_model_type
from bertcompress.bert.loading.config_fields import plain_fields
from bertcompress.bert.loading.legacy import is_legacy, modern_config
from bertcompress.bert.loading.weights import sentence
from bertcompress.errors import LoadError
from bertcompress.progress import Note, logged

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def json_object(path: Path) -> dict[str, object]:
    """Returns what a model's JSON file holds.

    Raises:
        LoadError: If it can't be read or is no object.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LoadError(f"{path} is not JSON: {error}; restore it from the original") from error
    if not isinstance(raw, dict):
        raise LoadError(f"{path} must hold a JSON object; restore it from the original")
    return raw


def read_config(folder: Path, name: str, *, note: Note = logged) -> PreTrainedConfig:
    """Reads the configuration in a folder, as `load_config`; `name` is for messages."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from bertcompress.bert.register import register

    fields = json_object(folder / "config.json")
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
