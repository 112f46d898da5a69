"""Reads a model folder, or a hub name, into an artifact: always float32, always checked.

What goes wrong silently elsewhere is an error here: a checkpoint without the task's head, a
weight file that is cut off, pickled weights with code in them, a model that is not an encoder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bertcompress.artifact import (
    ONNX_NAME,
    SIDE_FILES,
    Artifact,
    Checkpoint,
    OnnxModel,
    kind_of,
    read_manifest,
    verify,
)
from bertcompress.bert.structure import check_known
from bertcompress.errors import LoadError, did_you_mean

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

AUTO_CLASS_OF_TASK = {
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "feature-extraction": "AutoModel",
}

TASK_OF_ARCHITECTURE = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "Model": "feature-extraction",
}


def load(model: str | Path, *, task: str | None = None, revision: str | None = None) -> Artifact:
    """Loads a fine-tuned BERT, or an artifact folder.

    Args:
        model: A folder, or a hub name.
        task: One of `AUTO_CLASS_OF_TASK`; read from the configuration if not given.
        revision: The hub revision; folders have none.

    Returns:
        A `Checkpoint` in float32 (whatever the file's type is), or an `OnnxModel`.

    Raises:
        LoadError: If the folder is not a BERT, lacks the task's head, or is damaged.
    """
    folder = Path(model)
    if folder.is_dir() and kind_of(folder) == "onnx":
        return _load_onnx(folder)
    config = load_config(model, revision=revision)
    check_known(config)
    found = task_of_config(config)
    wanted = task or found
    if wanted is None:
        raise LoadError(
            f"{model} has the architectures {config.architectures}, none of which is a task that "
            f"bertcompress knows; give --task ({', '.join(AUTO_CLASS_OF_TASK)})"
        )
    return _load_checkpoint(model, config, wanted, revision=revision, new_head=False)


def load_encoder(
    model: str | Path, *, task: str, labels: Sequence[str] = (), revision: str | None = None
) -> Checkpoint:
    """Loads an encoder and gives it a new, untrained head for fine-tuning.

    Args:
        model: A folder, or a hub name.
        task: The head to make.
        labels: The class names, in the order of their numbers (not for question answering).
        revision: The hub revision.
    """
    config = load_config(model, revision=revision)
    check_known(config)
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {name: number for number, name in enumerate(labels)}
    return _load_checkpoint(model, config, task, revision=revision, new_head=True)


def load_config(model: str | Path, *, revision: str | None = None) -> PreTrainedConfig:
    """Reads a configuration, or says in one sentence why it can't be read."""
    from transformers import AutoConfig

    from bertcompress.bert.register import register

    register()
    folder = Path(model)
    if folder.is_file():
        raise LoadError(f"{folder} is a file; give the model's folder")
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise LoadError(f"{folder} has no config.json, so it is not a Transformers model folder")
    if not folder.exists() and (folder.is_absolute() or str(model).startswith(".")):
        raise LoadError(f"there is no folder {folder}")
    try:
        return AutoConfig.from_pretrained(model, revision=revision)
    except json.JSONDecodeError as error:
        raise LoadError(f"{model}/config.json is not JSON: {error}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoadError(f"can't load {model}: {_first_line(error)}") from error


def task_of_config(config: PreTrainedConfig) -> str | None:
    """Returns the task that the configuration's architecture does, or None."""
    for architecture in config.architectures or ():
        for ending, task in TASK_OF_ARCHITECTURE.items():
            if architecture.endswith(f"Bert{ending}"):
                return task
    return None


def _load_checkpoint(
    model: str | Path,
    config: PreTrainedConfig,
    task: str,
    *,
    revision: str | None,
    new_head: bool,
) -> Checkpoint:
    import torch
    import transformers
    from safetensors import SafetensorError

    if task not in AUTO_CLASS_OF_TASK:
        raise LoadError(
            f"there is no task {task!r}; the tasks are {', '.join(AUTO_CLASS_OF_TASK)}"
            + did_you_mean(task, AUTO_CLASS_OF_TASK)
        )
    folder = Path(model)
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is not None:
        verify(folder, manifest)
    auto = getattr(transformers, AUTO_CLASS_OF_TASK[task])
    try:
        loaded, info = auto.from_pretrained(
            model,
            config=config,
            revision=revision,
            dtype=torch.float32,
            output_loading_info=True,
            **({"add_pooling_layer": False} if task == "feature-extraction" else {}),
        )
    except (SafetensorError, EOFError) as error:
        raise LoadError(
            f"the weights of {model} are damaged or cut off ({_first_line(error)}); "
            "copy or download them again"
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise LoadError(f"can't load {model}: {_first_line(error)}") from error
    if not new_head:
        _check_complete(model, task, info)
    tokenizer = _load_tokenizer(model, config, revision=revision)
    side_files = _read_side_files(folder) if folder.is_dir() else {}
    history = manifest.history if manifest is not None else ()
    return Checkpoint(loaded.eval(), tokenizer, task, history, side_files)


def _check_complete(model: str | Path, task: str, info: dict[str, Any]) -> None:
    missing = sorted(info["missing_keys"])
    if missing:
        raise LoadError(
            f"{model} lacks {len(missing)} weights that {task} needs, the first is "
            f"{missing[0]!r}: it was not fine-tuned for this task; type: "
            f"bertcompress finetune {model} --task {task} --data …"
        )


def _load_tokenizer(
    model: str | Path, config: PreTrainedConfig, *, revision: str | None
) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            model, config=config, revision=revision, use_fast=True
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoadError(f"can't load the tokenizer of {model}: {_first_line(error)}") from error
    if not tokenizer.is_fast:
        raise LoadError(f"{model} has no fast tokenizer (tokenizer.json); convert it first")
    return cast("PreTrainedTokenizerFast", tokenizer)


def _load_onnx(folder: Path) -> OnnxModel:
    import onnx
    from google.protobuf.message import DecodeError

    manifest = read_manifest(folder)
    if manifest is not None:
        verify(folder, manifest)
    config = load_config(folder)
    try:
        graph = onnx.load_model(str(folder / ONNX_NAME))
    except DecodeError as error:
        raise LoadError(f"{folder / ONNX_NAME} is not an ONNX model or is cut off") from error
    task = manifest.task if manifest is not None else task_of_config(config)
    if task is None:
        raise LoadError(f"{folder}/config.json names no architecture, so its task is not known")
    return OnnxModel(
        graph=graph,
        config=config,
        tokenizer=_load_tokenizer(folder, config, revision=None),
        task=task,
        history=manifest.history if manifest is not None else (),
        side_files=_read_side_files(folder),
    )


def _read_side_files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in SIDE_FILES if (folder / name).is_file()}


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
