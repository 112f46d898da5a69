"""Reads a model folder, or a hub name, into an artifact: always float32, always checked.

What goes wrong silently elsewhere is an error here: a checkpoint without the task's head, a
weight file that is cut off, pickled weights with code in them, a model that is not an encoder.
No code that lies in a folder is ever run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.artifacts.artifact import (
    ONNX_NAME,
    SIDE_FILES,
    Artifact,
    Checkpoint,
    Engine,
    Manifest,
    OnnxModel,
    kind_of,
)
from bertcompress.artifacts.engine_file import read_engine
from bertcompress.artifacts.model_config import Problem
from bertcompress.bert.loading.frontend import (
    check_class,
    check_task_name,
    read_config,
    read_tokenizer,
    task_here,
    verified_manifest,
)
from bertcompress.bert.loading.locate import locate
from bertcompress.bert.loading.weights import (
    HEAD_MODULES,
    check_fit,
    read_model,
    renew_head,
    sentence,
)
from bertcompress.bert.structure import check_known
from bertcompress.errors import LoadError

if TYPE_CHECKING:
    import onnx
    from transformers import PreTrainedConfig


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
    check_task_name(task)
    folder = locate(model, revision=revision)
    manifest = verified_manifest(folder)
    config = read_config(folder, str(model))
    kind = kind_of(folder)
    if kind == "checkpoint":
        check_known(config)
    wanted = task_here(str(model), kind, config, manifest, task)
    if kind != "checkpoint":
        found = _load_onnx(folder, str(model), config, manifest, wanted)
        return found if kind == "onnx" else _with_plan(found, folder)
    check_class(str(model), config, wanted)
    loaded, fit = read_model(folder, str(model), config, wanted)
    check_fit(str(model), wanted, fit)
    return Checkpoint(
        loaded,
        read_tokenizer(folder, str(model), config, wanted),
        wanted,
        manifest.history if manifest is not None else (),
        _read_side_files(folder),
    )


def load_encoder(
    model: str | Path,
    *,
    task: str,
    labels: Sequence[str] = (),
    problem: Problem | None = None,
    seed: int = 0,
    revision: str | None = None,
) -> Checkpoint:
    """Loads an encoder and gives it a new, untrained head for fine-tuning.

    Args:
        model: A folder, or a hub name. A head that it has is not kept, its pooler is.
        task: The head to make.
        labels: The class names, in the order of their numbers (not for question answering).
        problem: What texts have, in the words of Transformers' ``problem_type``; one label means a
            number and several one class a text if None.
        seed: For the new weights.
        revision: The hub revision.

    Raises:
        UsageError: If there is no such task.
        LoadError: If the folder is not a known encoder, lacks encoder weights, or is damaged.
    """
    import torch

    check_task_name(task)
    folder = locate(model, revision=revision)
    manifest = verified_manifest(folder)
    config = read_config(folder, str(model))
    check_known(config)
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {name: number for number, name in enumerate(labels)}
        config.problem_type = problem  # else how the old head was trained
    if task == "question-answering":
        config.num_labels = 2  # a span's two ends; some heads take their size from it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loaded, fit = read_model(folder, str(model), config, task)
        check_fit(str(model), task, fit, but=("pooler", *HEAD_MODULES))
        renew_head(loaded)
    return Checkpoint(
        loaded,
        read_tokenizer(folder, str(model), config, task),
        task,
        manifest.history if manifest is not None else (),
        _read_side_files(folder),
    )


def _load_onnx(
    folder: Path,
    name: str,
    config: PreTrainedConfig,
    manifest: Manifest | None,
    task: str,
) -> OnnxModel:
    return OnnxModel(
        graph=_read_graph(folder / ONNX_NAME),
        config=config,
        tokenizer=read_tokenizer(folder, name, config, task),
        task=task,
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
