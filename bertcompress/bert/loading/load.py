"""Reads a model folder, or a hub name, into an artifact: always float32, always checked.

What goes wrong silently elsewhere is an error here: a checkpoint without the task's head, a
weight file that is cut off, pickled weights with code in them, a model that is not an encoder.
No code that lies in a folder is ever run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bertcompress.artifacts.artifact import (
    ONNX_NAME,
    SIDE_FILES,
    Artifact,
    Checkpoint,
    Engine,
    Manifest,
    OnnxModel,
    kind_of,
    read_manifest,
    verify,
)
from bertcompress.artifacts.engine_file import read_engine
from bertcompress.artifacts.model_config import TASK_NAMES, task_of, task_of_class
from bertcompress.bert.families import check_model_type, input_names
from bertcompress.bert.loading.legacy import is_legacy, modern_config
from bertcompress.bert.loading.locate import locate
from bertcompress.bert.loading.weights import (
    HEAD_MODULES,
    check_fit,
    how_to_fine_tune,
    read_model,
    renew_head,
    sentence,
)
from bertcompress.bert.structure import check_known
from bertcompress.errors import LoadError, UsageError, did_you_mean
from bertcompress.quiet import quiet_transformers

if TYPE_CHECKING:
    import onnx
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")


def load(model: str | Path, *, task: str | None = None, revision: str | None = None) -> Artifact:
    """Loads a fine-tuned encoder, or an artifact folder.

    Args:
        model: A folder, or a hub name.
        task: One of `bertcompress.artifacts.model_config.TASK_NAMES`; read from the configuration
            if not given.
        revision: The hub revision; folders have none.

    Returns:
        A `Checkpoint` in float32 (whatever the file's type is), an `OnnxModel`, or an `Engine`,
        which is not handed to TensorRT here.

    Raises:
        UsageError: If there is no such task.
        LoadError: If the folder is not a known encoder, lacks the task's head, or is damaged.
    """
    _check_task_name(task)
    folder = locate(model, revision=revision)
    manifest = _verified_manifest(folder)
    config = _read_config(folder, str(model))
    kind = kind_of(folder)
    if kind != "checkpoint":
        found = _load_onnx(folder, str(model), config, manifest, task)
        return found if kind == "onnx" else _with_plan(found, folder)
    check_known(config)
    wanted = task if task is not None else task_of(config)
    _check_class(str(model), config, wanted)
    loaded, fit = read_model(folder, str(model), config, wanted)
    check_fit(str(model), wanted, fit)
    return Checkpoint(
        loaded,
        _load_tokenizer(folder, str(model), config, wanted),
        wanted,
        manifest.history if manifest is not None else (),
        _read_side_files(folder),
    )


def load_encoder(
    model: str | Path,
    *,
    task: str,
    labels: Sequence[str] = (),
    seed: int = 0,
    revision: str | None = None,
) -> Checkpoint:
    """Loads an encoder and gives it a new, untrained head for fine-tuning.

    Args:
        model: A folder, or a hub name. A head that it has is not kept, its pooler is.
        task: The head to make.
        labels: The class names, in the order of their numbers (not for question answering).
        seed: For the new weights.
        revision: The hub revision.

    Raises:
        UsageError: If there is no such task.
        LoadError: If the folder is not a known encoder, lacks encoder weights, or is damaged.
    """
    import torch

    _check_task_name(task)
    folder = locate(model, revision=revision)
    manifest = _verified_manifest(folder)
    config = _read_config(folder, str(model))
    check_known(config)
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {name: number for number, name in enumerate(labels)}
        config.problem_type = None  # said how the old head was trained
    if task == "question-answering":
        config.num_labels = 2  # a span's two ends; some heads take their size from it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loaded, fit = read_model(folder, str(model), config, task)
        check_fit(str(model), task, fit, but=("pooler", *HEAD_MODULES))
        renew_head(loaded)
    return Checkpoint(
        loaded,
        _load_tokenizer(folder, str(model), config, task),
        task,
        manifest.history if manifest is not None else (),
        _read_side_files(folder),
    )


def load_config(model: str | Path, *, revision: str | None = None) -> PreTrainedConfig:
    """Reads a model's configuration, or says in one sentence why it can't be read.

    Raises:
        LoadError: If there is no such model, or it is not a known encoder.
    """
    return _read_config(locate(model, revision=revision), str(model))


def _read_config(folder: Path, name: str) -> PreTrainedConfig:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    from bertcompress.bert.register import register

    check_model_type(_json_object(folder / "config.json").get("model_type"))
    register()
    try:
        config = AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    except (
        *(OSError, ValueError, KeyError, TypeError, AttributeError),
        StrictDataclassError,
    ) as error:
        raise LoadError(f"the config.json of {name} can't be used: {sentence(error)}") from error
    return modern_config(config) if is_legacy(config) else cast("PreTrainedConfig", config)


def _json_object(path: Path) -> dict[str, object]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LoadError(f"{path} is not JSON: {error}; restore it from the original") from error
    if not isinstance(raw, dict):
        raise LoadError(f"{path} must hold a JSON object; restore it from the original")
    return raw


def _verified_manifest(folder: Path) -> Manifest | None:
    manifest = read_manifest(folder)
    if manifest is not None:
        verify(folder, manifest)
    return manifest


def _check_task_name(task: str | None) -> None:
    if task is not None and task not in TASK_NAMES:
        raise UsageError(
            f"there is no task {task!r}; the tasks are {', '.join(TASK_NAMES)}"
            + did_you_mean(task, TASK_NAMES)
        )


def _check_class(name: str, config: PreTrainedConfig, wanted: str) -> None:
    """Fails where the head is of another task: two heads may have the same names and sizes."""
    architectures = config.architectures or []
    tasks = {task_of_class(architecture) for architecture in architectures} - {None}
    if wanted == "feature-extraction" or not tasks or wanted in tasks:
        return
    raise LoadError(
        f"{name} is a {' and '.join(architectures)}, not fine-tuned for {wanted}; "
        + how_to_fine_tune(name, wanted)
    )


def _load_tokenizer(
    folder: Path, name: str, config: PreTrainedConfig, task: str
) -> PreTrainedTokenizerFast:
    from transformers import AutoTokenizer

    if not any((folder / file).is_file() for file in _TOKENIZER_FILES):
        raise LoadError(
            f"{name} has no tokenizer ({' or '.join(_TOKENIZER_FILES)}); copy it from the original"
        )
    core = folder / "tokenizer.json"
    content = _json_object(core) if core.is_file() else {"model": {}}
    if not isinstance(content.get("model"), dict):
        raise LoadError(f"{core} has no model; restore it from the original")
    # Byte-level BPE has pieces for words after a space: those of a list must look alike.
    spaced = task == "token-classification" and "ByteLevel" in str(content.get("pre_tokenizer"))
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(
                str(folder),
                config=config,
                use_fast=True,
                trust_remote_code=False,
                **({"add_prefix_space": True} if spaced else {}),
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoadError(f"the tokenizer of {name} can't be read: {sentence(error)}") from error
    if not tokenizer.is_fast:
        raise LoadError(f"{name} has no fast tokenizer (tokenizer.json); convert it first")
    taken = input_names(config)  # a tokenizer shared by families may give segments unasked
    tokenizer.model_input_names = [one for one in tokenizer.model_input_names if one in taken]
    return cast("PreTrainedTokenizerFast", tokenizer)


def _load_onnx(
    folder: Path,
    name: str,
    config: PreTrainedConfig,
    manifest: Manifest | None,
    task: str | None,
) -> OnnxModel:
    found = manifest.task if manifest is not None else task_of(config)
    if task not in (None, found):
        raise LoadError(f"{name} is a graph for {found}, not for {task}; leave --task out")
    return OnnxModel(
        graph=_read_graph(folder / ONNX_NAME),
        config=config,
        tokenizer=_load_tokenizer(folder, name, config, found),
        task=found,
        history=manifest.history if manifest is not None else (),
        side_files=_read_side_files(folder),
    )


def _with_plan(model: OnnxModel, folder: Path) -> Engine:
    plan, record = read_engine(folder)
    return Engine(
        model.graph,
        model.config,
        model.tokenizer,
        model.task,
        plan,
        record,
        model.history,
        model.side_files,
    )


def _read_graph(path: Path) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs

    try:
        graph = onnx.load_model(str(path))
    except (DecodeError, OSError, onnx.checker.ValidationError) as error:
        raise LoadError(f"{path} is not an ONNX model, or is cut off: {sentence(error)}") from error
    if not graph.graph.node:
        raise LoadError(f"{path} is an empty graph; make the artifact again")
    return graph


def _read_side_files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in SIDE_FILES if (folder / name).is_file()}
