"""The way from a text to a vector, as a Sentence Transformers folder describes it.

    prompt, case -> tokens, cut -> Transformer -> Pooling -> Dense, LayerNorm, Normalize -> cut

The modules of ``modules.json`` are taken in its order, each from its own path. A module or a
setting that is not known is refused by name. Without ``modules.json`` the vector is the mean, as
Sentence Transformers makes it of a plain encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from bertcompress.artifacts.embedding_files import (
    MODULES_NAME,
    POOLING_KEYS,
    ModuleEntry,
    json_fields,
    pooling_modes,
    read_modules,
)
from bertcompress.errors import LoadError
from bertcompress.tasks.pooling import Pooling
from bertcompress.tasks.transformer_settings import TransformerSettings, read_transformer
from bertcompress.tasks.vector_steps import Normalize, VectorStep, read_dense, read_layer_norm

KNOWN_MODULES = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize", "Dropout")

_POOLING_FIELDS = (
    *("embedding_dimension", "word_embedding_dimension", "pooling_mode", "include_prompt"),
    *POOLING_KEYS.values(),
)
_SENTENCE = "sentence_embedding"


@dataclass(frozen=True)
class EmbeddingSettings:
    """What stands before and after the encoder.

    Attributes:
        texts: What is done to the texts.
        poolings: How token vectors become one, in the order of the parts.
        include_prompt: Whether the prompt's tokens are pooled too.
        steps: What is done to the pooled vector, in order.
    """

    texts: TransformerSettings = field(default_factory=TransformerSettings)
    poolings: tuple[Pooling, ...] = ("mean",)
    include_prompt: bool = True
    steps: tuple[VectorStep, ...] = ()


def read_embedding(files: Mapping[str, bytes]) -> EmbeddingSettings:
    """Returns what a folder's files say.

    Args:
        files: From `bertcompress.artifacts.artifact_files.read_side_files`.

    Raises:
        LoadError: A module or a setting is not known, or a file is missing or damaged.
    """
    if MODULES_NAME not in files:
        return EmbeddingSettings()
    entries = read_modules(files[MODULES_NAME], MODULES_NAME)
    _check_order(entries)
    texts = read_transformer(files, task="feature-extraction", model_type="SentenceTransformer")
    poolings: tuple[Pooling, ...] = ()
    include_prompt, steps = True, list[VectorStep]()
    for entry in entries[1:]:
        config = _config(files, entry)
        if entry.kind == "Pooling":
            poolings, include_prompt = _pooling(config, entry.path)
        elif entry.kind == "Dense":
            steps.append(read_dense(config, files, entry.path))
        elif entry.kind == "LayerNorm":
            steps.append(read_layer_norm(config, files, entry.path))
        elif entry.kind == "Normalize":
            steps.append(Normalize())
    return EmbeddingSettings(texts, poolings, include_prompt, tuple(steps))


def _check_order(entries: Sequence[ModuleEntry]) -> None:
    """Fails with a LoadError unless a Transformer is first, one Pooling next, known ones then."""
    for entry in entries:
        if entry.kind not in KNOWN_MODULES:
            raise LoadError(
                f"{MODULES_NAME} has the module {entry.type}, and known are "
                f"{', '.join(KNOWN_MODULES)}; choose a model that is made of these"
            )
    kinds = [entry.kind for entry in entries]
    after = [kind for kind in kinds if kind != "Dropout"]
    if after[:2] != ["Transformer", "Pooling"] or not {*after[2:]}.isdisjoint(after[:2]):
        raise LoadError(
            f"{MODULES_NAME} lists {', '.join(kinds) or 'no module'}; an embedding is made by a "
            "Transformer, then one Pooling, then what else there is: restore it from the original "
            "model"
        )


def _config(files: Mapping[str, bytes], entry: ModuleEntry) -> dict[str, object]:
    """Returns a module's configuration, which Normalize may lack."""
    place = f"{entry.path}/config.json"
    if place not in files:
        if entry.kind in ("Normalize", "Dropout"):
            return {}
        raise LoadError(
            f"{MODULES_NAME} names a {entry.kind} in {entry.path or 'the root'!r}, and "
            f"{place} is not there; copy the folder whole from the original model"
        )
    config = json_fields(files[place], place)
    for key in ("module_input_name", "module_output_name"):
        if config.get(key) not in (None, _SENTENCE):
            raise LoadError(
                f"{place} has {key} {config[key]!r}, and {entry.kind} is known for {_SENTENCE} "
                "alone; choose a model with one vector a text"
            )
    return config


def _pooling(config: Mapping[str, object], path: str) -> tuple[tuple[Pooling, ...], bool]:
    place = f"{path}/config.json"
    for key in config:
        if key not in _POOLING_FIELDS:
            raise LoadError(
                f"{place} has {key}, which is no setting of Pooling here; choose a model without it"
            )
    modes = cast("tuple[Pooling, ...]", pooling_modes(config, place))
    return modes, bool(config.get("include_prompt", True))
