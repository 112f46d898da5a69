"""The files of a Sentence Transformers folder, read along ``modules.json`` into one form.

``modules.json`` lists the modules of an embedding model in the order in which they are run, each
with the path of its own folder. What it names is read, by its paths; nothing is looked for. The
files that come out are written again by `bertcompress.artifacts.artifact.save`, in the form that
all readers of such folders know:

- the Transformer lies in the root (folders of 2019 have ``0_Transformer``);
- its settings are ``sentence_bert_config.json``, which had a name for each family, without the
  entries of version 5.4 that say what is so anyway;
- classes have their old names, which all versions load;
- a pooling has the six booleans of old readers beside ``pooling_mode`` of version 5.4 and later;
- weights are ``model.safetensors``, never pickles.

Source: Sentence Transformers 6.2, ``base/model.py``, ``base/modules/transformer.py``,
``sentence_transformer/modules/pooling.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bertcompress import reading
from bertcompress.errors import LoadError

MODULES_NAME = "modules.json"
TRANSFORMER_NAME = "sentence_bert_config.json"
MODEL_NAME = "config_sentence_transformers.json"
WEIGHTS_NAME = "model.safetensors"

POOLING_KEYS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
"""The poolings and the old name of each, in the order in which several are put together."""

_TRANSFORMER_NAMES = (
    TRANSFORMER_NAME,
    *(
        f"sentence_{family}_config.json"
        for family in ("roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
    ),
)
_LARGEST_WEIGHTS = 1 << 30
"""Bytes of the weights of one module after the Transformer, a matrix of a few thousand squared."""
_PICKLE = "pytorch_model.bin"
_VECTORS = "SentenceTransformer"
_PACKAGE = "sentence_transformers"
_MOVED = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize", "Dropout")
"""Classes that have lain in other packages since version 5.4; the old names load there too."""
_USUAL: dict[str, object] = {
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}
"""What a Transformer does where its settings are of an older version and do not say it."""


@dataclass(frozen=True)
class ModuleEntry:
    """One line of ``modules.json``.

    Attributes:
        type: The name of its class, ``sentence_transformers.models.Dense``.
        path: Its folder; empty for the root.
    """

    type: str
    path: str

    @property
    def kind(self) -> str:
        """The class without its package; the whole name where the package is another one."""
        package, _, name = self.type.rpartition(".")
        return name if package.partition(".")[0] == _PACKAGE else self.type


def read_embedding_files(folder: Path) -> dict[str, bytes]:
    """Returns the files that ``modules.json`` names, in one form; empty where there is none.

    Args:
        folder: Where the weights lie: the root, or the Transformer's folder in it.

    Raises:
        LoadError: A file can't be read, or names what can't be.
    """
    root = _root_of(folder)
    if root is None:
        if (folder / "1_Pooling" / "config.json").is_file():
            raise LoadError(
                f"{folder} has a folder 1_Pooling and no {MODULES_NAME}, which says what it is "
                f"for; copy {MODULES_NAME} from the original model, or remove the folder"
            )
        return {}
    entries = read_modules(content_of(root / MODULES_NAME), str(root / MODULES_NAME))
    files = {MODULES_NAME: _modules_text(root, entries)}
    for entry in entries:
        files |= _transformer(root, entry) if entry.kind == "Transformer" else _module(root, entry)
    if (root / MODEL_NAME).is_file():
        files[MODEL_NAME] = content_of(root / MODEL_NAME)
    return files


def makes_vectors(folder: Path) -> bool:
    """Whether Sentence Transformers' own files say that this is a model of vectors.

    Raises:
        LoadError: They can't be read.
    """
    root = _root_of(folder)
    if root is None:
        return False
    place = root / MODEL_NAME
    model = json_fields(content_of(place), str(place)) if place.is_file() else {}
    kinds = [entry.kind for entry in read_modules(content_of(root / MODULES_NAME), MODULES_NAME)]
    return "Pooling" in kinds and model.get("model_type", _VECTORS) == _VECTORS


def with_text_limit(files: Mapping[str, bytes], limit: int) -> dict[str, bytes]:
    """Returns the files with a ``max_seq_length``, which old readers and servers can't do without.

    Args:
        files: From `read_embedding_files`.
        limit: What holds where none is given, tokens.
    """
    if MODULES_NAME not in files:
        return dict(files)
    fields = json_fields(files.get(TRANSFORMER_NAME, b"{}"), TRANSFORMER_NAME)
    if fields.get("max_seq_length") is not None:
        return dict(files)
    usual = {"max_seq_length": limit, "do_lower_case": False}
    return {**files, TRANSFORMER_NAME: json_bytes({**usual, **fields, "max_seq_length": limit})}


def transformer_folder(root: Path) -> Path | None:
    """Returns the folder that ``modules.json`` says the weights lie in, None if it is the root."""
    path = root / MODULES_NAME
    if not path.is_file():
        return None
    for entry in read_modules(content_of(path), str(path)):
        if entry.kind == "Transformer" and entry.path:
            return root / entry.path
    return None


def read_modules(content: bytes, place: str) -> tuple[ModuleEntry, ...]:
    """Returns what a ``modules.json`` lists, in its order.

    Args:
        content: The file.
        place: What messages call it.

    Raises:
        LoadError: It is not such a list.
    """
    raw = json_value(content, place)
    if not isinstance(raw, list):
        raise LoadError(f"{place} must hold a JSON list; restore it from the original model")
    entries = []
    for entry in raw:
        path = entry.get("path", "") if isinstance(entry, Mapping) else None
        kind = entry.get("type") if isinstance(entry, Mapping) else None
        if not (isinstance(path, str) and isinstance(kind, str)):
            raise LoadError(
                f"{place} must give each module a type and a path, found {json.dumps(entry)}; "
                "restore it from the original model"
            )
        if not reading.is_inner_name(path or "."):
            raise LoadError(
                f"{place} names the path {path!r}, which is not inside the model's folder; restore "
                "it from the original model"
            )
        entries.append(ModuleEntry(kind, "" if path == "." else path.rstrip("/")))
    return tuple(entries)


def content_of(path: Path, *, most: int = reading.LARGEST_FILE) -> bytes:
    """Returns a file's content.

    Args:
        path: The file.
        most: The bytes that it may have.

    Raises:
        LoadError: It can't be read, is no regular file, or larger.
    """
    try:
        return reading.read_bounded(path, most=most)
    except (OSError, ValueError) as error:
        raise LoadError(
            f"{path} can't be read: {reading.reason(error)}; restore it from the original model"
        ) from error


def json_value(content: bytes, place: str) -> object:
    """Returns what a JSON file holds.

    Raises:
        LoadError: It is not JSON.
    """
    try:
        return reading.json_value(content)
    except ValueError as error:
        raise LoadError(
            f"{place} can't be read: {error}; restore it from the original model"
        ) from error


def json_fields(content: bytes, place: str) -> dict[str, object]:
    """Returns the fields of a JSON object.

    Raises:
        LoadError: It is not JSON, or no object.
    """
    value = json_value(content, place)
    if not isinstance(value, dict):
        raise LoadError(f"{place} must hold a JSON object; restore it from the original model")
    return value


def pooling_modes(config: Mapping[str, object], place: str) -> tuple[str, ...]:
    """Returns the poolings that a configuration asks for, in the order of their parts.

    ``pooling_mode`` decides where it is there; else the booleans that are true, and the mean where
    none is, as Sentence Transformers reads them.

    Raises:
        LoadError: One is not known.
    """
    named = config.get("pooling_mode")
    if named is None:
        modes = [mode for mode, key in POOLING_KEYS.items() if config.get(key)]
        return tuple(modes) or ("mean",)
    asked = [named] if isinstance(named, str) else named
    if not (isinstance(asked, list) and asked and all(mode in POOLING_KEYS for mode in asked)):
        raise LoadError(
            f"{place} asks for the pooling {named!r}; known are {', '.join(POOLING_KEYS)}: choose "
            "a model that pools by these"
        )
    return tuple(asked)


def _root_of(folder: Path) -> Path | None:
    """Returns the folder with the ``modules.json`` that holds for these weights."""
    if (folder / MODULES_NAME).is_file():
        return folder
    for parent in folder.resolve().parents[:1]:
        inside = transformer_folder(parent)
        if inside is not None and inside.resolve() == folder.resolve():
            return parent
    return None


def _modules_text(root: Path, entries: Sequence[ModuleEntry]) -> bytes:
    """Returns ``modules.json`` with old class names and the Transformer in the root."""
    content = content_of(root / MODULES_NAME)
    raw = cast("list[dict[str, object]]", json_value(content, MODULES_NAME))
    for entry, fields in zip(entries, raw, strict=True):
        if entry.kind in _MOVED:
            fields["type"] = f"{_PACKAGE}.models.{entry.kind}"
        if entry.kind == "Transformer":
            fields["path"] = ""
    return content if raw == json_value(content, MODULES_NAME) else json_bytes(raw)


def _transformer(root: Path, entry: ModuleEntry) -> dict[str, bytes]:
    """Returns the Transformer's settings, under the name that all versions read first."""
    for name in _TRANSFORMER_NAMES:
        path = root / entry.path / name
        fields = json_fields(content_of(path), str(path)) if path.is_file() else {}
        if fields and all(fields.get(key) == value for key, value in _USUAL.items()):
            fields = {key: value for key, value in fields.items() if key not in _USUAL}
            return {TRANSFORMER_NAME: json_bytes(fields)}
        if fields:
            return {TRANSFORMER_NAME: content_of(path)}
    return {}


def _module(root: Path, entry: ModuleEntry) -> dict[str, bytes]:
    """Returns a module's configuration and weights, by their names in the folder."""
    folder = root / entry.path
    if not entry.path:
        return {}
    files = {}
    config = folder / "config.json"
    if config.is_file():
        content = content_of(config)
        if entry.kind == "Pooling":
            content = _both_styles(content, str(config))
        files[f"{entry.path}/config.json"] = content
    if (folder / WEIGHTS_NAME).is_file():
        files[f"{entry.path}/{WEIGHTS_NAME}"] = content_of(
            folder / WEIGHTS_NAME, most=_LARGEST_WEIGHTS
        )
    elif (folder / _PICKLE).is_file():
        files[f"{entry.path}/{WEIGHTS_NAME}"] = without_pickle(folder / _PICKLE)
    return files


def _both_styles(content: bytes, place: str) -> bytes:
    """Returns a pooling's configuration with the old keys and the new one.

    Readers of before version 5.4 take no list in ``pooling_mode``: it is left out where the
    booleans say the same.
    """
    config = json_fields(content, place)
    modes = pooling_modes(config, place)
    if "embedding_dimension" in config and "word_embedding_dimension" not in config:
        config["word_embedding_dimension"] = config.pop("embedding_dimension")
    config |= {key: mode in modes for mode, key in POOLING_KEYS.items()}
    config.pop("pooling_mode", None)
    if len(modes) == 1:
        config["pooling_mode"] = modes[0]
    elif modes != tuple(mode for mode in POOLING_KEYS if mode in modes):
        config["pooling_mode"] = list(modes)
    return json_bytes(config)


def without_pickle(path: Path) -> bytes:
    """Returns pickled weights as safetensors; they are read as tensors only, never as code.

    Raises:
        LoadError: They can't be read so.
    """
    import pickle

    import torch
    from safetensors.torch import save

    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        return save({name: tensor.contiguous() for name, tensor in weights.items()})
    except (
        *(OSError, EOFError, ValueError, TypeError, AttributeError, RuntimeError),
        pickle.UnpicklingError,
    ) as error:
        raise LoadError(
            f"{path} can't be read as weights alone: {str(error).splitlines()[0]}; save the model "
            "again as safetensors"
        ) from error


def json_bytes(value: object) -> bytes:
    """Returns a value as the text of a JSON file."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
