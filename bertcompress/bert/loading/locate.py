"""Finds a model's folder: the one that was named, the hub's, or an adapter with its base."""

from __future__ import annotations

import re
from pathlib import Path

from bertcompress.artifacts.embedding_files import transformer_folder
from bertcompress.bert.loading.adapter import is_adapter, merged, read_adapter
from bertcompress.errors import LoadError, did_you_mean

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_FILES = ("*.json", "*.txt", "model*.safetensors", "adapter_model.*", "modeling_pruned_*.py")
_OTHER_WEIGHTS = ("pytorch_model*.bin", "onnx/model.onnx*")
"""Fetched only where there is no safetensors file: hub folders hold the same weights many times."""
_OTHER_TOKENIZERS = "*.model"
"""SentencePiece models, fetched only where there is no tokenizer.json."""


def locate(model: str | Path, *, revision: str | None = None) -> Path:
    """Returns the folder of a model, with a ``config.json`` in it.

    Of a Sentence Transformers model that is the folder that ``modules.json`` gives the Transformer,
    which is another one than its root only in old models.

    Args:
        model: A folder, or a hub name.
        revision: The hub revision; folders have none.

    Raises:
        LoadError: If there is no such folder, and no such model on the hub or in its cache; or it
            holds an adapter that can't be merged, see `bertcompress.bert.loading.adapter`.
    """
    if not str(model):
        raise LoadError("the model's name is empty; type a folder or a hub name")
    folder = Path(model).expanduser()
    if folder.exists() and not folder.is_dir():
        raise LoadError(f"{folder} is a file; type the model's folder")
    if not folder.exists():
        if _is_meant_as_path(str(model)):
            raise LoadError(f"there is no folder {folder}{_nearest(folder)}")
        folder = _from_hub(str(model), revision)
    inside = transformer_folder(folder)
    if inside is not None and ((inside / "config.json").is_file() or is_adapter(inside)):
        folder = inside
    if is_adapter(folder):
        return _with_base(folder, str(model))
    if not (folder / "config.json").is_file():
        raise LoadError(f"{model} has no config.json, so it is not a Transformers model folder")
    return folder


def _with_base(folder: Path, name: str) -> Path:
    """Returns the folder of what an adapter and the model that it was made for are together."""
    adapter = read_adapter(folder, name)
    base = Path(adapter.base).expanduser()
    if base.resolve() == folder.resolve():  # the weights beside it
        return merged(adapter, folder)
    if is_adapter(base):
        raise LoadError(
            f"{base}, for which the adapter {name} was made, is an adapter itself; merge that one "
            "with PEFT (merge_and_unload), and name the folder that this saves as the base"
        )
    try:
        base = locate(adapter.base, revision=adapter.revision)
    except LoadError as error:
        raise LoadError(adapter.why_no_base()) from error
    return merged(adapter, base)


def _is_meant_as_path(model: str) -> bool:
    """Says whether a name that is not on the disk can't be a hub name either."""
    path = Path(model)
    in_a_folder_here = len(path.parts) > 1 and path.parent.is_dir()
    return _HUB_NAME.fullmatch(model) is None or in_a_folder_here


def _nearest(folder: Path) -> str:
    if not folder.parent.is_dir():
        return ""
    return did_you_mean(folder.name, (entry.name for entry in folder.parent.iterdir()))


def _from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=[*_FILES]))
        if not any(folder.glob("model*.safetensors")):
            snapshot_download(name, revision=revision, allow_patterns=[*_OTHER_WEIGHTS])
        if not (folder / "tokenizer.json").is_file():
            snapshot_download(name, revision=revision, allow_patterns=[_OTHER_TOKENIZERS])
    except LocalEntryNotFoundError as error:
        raise LoadError(
            f"there is no folder {name}, and the hub's model of that name is not on this machine "
            "and can't be fetched; type a folder, or try again online"
        ) from error
    except GatedRepoError as error:
        raise LoadError(f"the hub gives {name} only on request; type: hf auth login") from error
    except RepositoryNotFoundError as error:
        raise LoadError(f"there is no folder {name}, and the hub has no such model") from error
    except RevisionNotFoundError as error:
        raise LoadError(f"the hub's {name} has no revision {revision}") from error
    except (OSError, ValueError) as error:
        raise LoadError(f"can't fetch {name} from the hub: {str(error).splitlines()[0]}") from error
    return folder
