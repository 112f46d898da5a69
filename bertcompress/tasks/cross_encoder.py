"""How a cross-encoder is described: what its single logit goes through, and how texts are fed.

A cross-encoder is a classifier with one output. Sentence Transformers 5.4 and later writes a whole
folder (``modules.json``, ``config_sentence_transformers.json``); before, ``config.json`` had an
entry, and that was all.

Source: Sentence Transformers 6.2, ``cross_encoder/model.py``, ``get_default_activation_fn``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bertcompress.artifacts.embedding_files import (
    MODEL_NAME,
    MODULES_NAME,
    json_fields,
    read_modules,
)
from bertcompress.artifacts.model_config import LONGEST, ModelConfig
from bertcompress.errors import LoadError
from bertcompress.tasks.activations import activation_named
from bertcompress.tasks.transformer_settings import TransformerSettings, read_transformer

_OLD_KEY = "sbert_ce_default_activation_function"


@dataclass(frozen=True)
class CrossEncoderSettings:
    """What stands before and after a model with one output.

    Attributes:
        activation: A key of `bertcompress.tasks.activations.ACTIVATIONS`; None where the logit
            itself is the number.
        texts: What is done to the texts.
    """

    activation: str | None
    texts: TransformerSettings


def read_cross_encoder(config: ModelConfig, files: Mapping[str, bytes]) -> CrossEncoderSettings:
    """Returns what a folder says of its single output.

    Args:
        config: The model's configuration.
        files: From `bertcompress.artifacts.artifact_files.read_side_files`.

    Raises:
        LoadError: It names an activation, a module or a setting that is not known.
    """
    texts, usual, named = TransformerSettings(), TransformerSettings(LONGEST), None
    if _is_cross_encoder(files):
        texts = read_transformer(files, task="sequence-classification", model_type="CrossEncoder")
        named, usual = texts.activation, texts
        entries = read_modules(files[MODULES_NAME], MODULES_NAME)
        other = [entry.type for entry in entries if entry.kind != "Transformer"]
        if other or len(entries) != 1:
            raise LoadError(
                f"{MODULES_NAME} has the module {other[0] if other else 'Transformer'} beside the "
                "Transformer of a cross-encoder, which is not known; choose one without it"
            )
    place = MODEL_NAME if named is not None else "config.json"
    named = named or _named_in(config)
    if named is not None:
        return CrossEncoderSettings(activation_named(named, place), texts)
    if config.problem_type == "regression":
        return CrossEncoderSettings(None, usual)
    return CrossEncoderSettings("Sigmoid", texts)


def _is_cross_encoder(files: Mapping[str, bytes]) -> bool:
    model = json_fields(files.get(MODEL_NAME, b"{}"), MODEL_NAME)
    return MODULES_NAME in files and model.get("model_type") == "CrossEncoder"


def _named_in(config: ModelConfig) -> str | None:
    """Returns the activation that ``config.json`` names."""
    entry = getattr(config, "sentence_transformers", None)
    if isinstance(entry, Mapping) and "activation_fn" in entry:
        return None if entry["activation_fn"] is None else str(entry["activation_fn"])
    named = getattr(config, _OLD_KEY, None)
    return None if named is None else str(named)
