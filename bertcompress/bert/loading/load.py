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
    Artifact,
    Checkpoint,
    Engine,
    Manifest,
    OnnxModel,
    kind_of,
)
from bertcompress.artifacts.artifact_files import read_side_files
from bertcompress.artifacts.embedding_files import with_text_limit
from bertcompress.artifacts.engine_file import read_engine
from bertcompress.artifacts.graph_file import graph_path, read_graph, sound_graph
from bertcompress.artifacts.model_config import Problem
from bertcompress.bert.families import first_position, input_names, longest_text
from bertcompress.bert.loading.config_file import read_config, read_fields
from bertcompress.bert.loading.frontend import (
    check_class,
    check_task_name,
    task_here,
    verified_manifest,
)
from bertcompress.bert.loading.locate import locate
from bertcompress.bert.loading.tokenizer import read_tokenizer
from bertcompress.bert.loading.weights import (
    HEAD_MODULES,
    Fit,
    check_fit,
    read_model,
    renew_head,
)
from bertcompress.bert.structure import check_known
from bertcompress.errors import LoadError
from bertcompress.graph.normal_form import normal_form
from bertcompress.graph.signature import fixed_length
from bertcompress.progress import Note, logged

if TYPE_CHECKING:
    import onnx
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast


def load(
    model: str | Path,
    *,
    task: str | None = None,
    revision: str | None = None,
    note: Note = logged,
) -> Artifact:
    """Loads a fine-tuned encoder, or an artifact folder.

    Args:
        model: A folder, or a hub name.
        task: One of `bertcompress.artifacts.model_config.TASK_NAMES`; read from the configuration
            if not given.
        revision: The hub revision; folders have none.
        note: Is told where files contradict each other, and which is followed.

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
    config = read_config(folder, str(model), note=note)
    kind = kind_of(folder)
    if kind == "checkpoint":
        check_known(config)
    wanted = task_here(folder, str(model), config, manifest, task)
    if kind != "checkpoint":
        found = _load_onnx(folder, str(model), config, manifest, wanted, note)
        return found if kind == "onnx" else _with_plan(found, folder)
    check_class(str(model), config, wanted)
    loaded, fit = read_model(folder, str(model), config, wanted)
    _check_not_packed(folder, str(model), fit)
    check_fit(str(model), wanted, fit)
    tokenizer = read_tokenizer(folder, str(model), config, note=note)
    return Checkpoint(
        loaded,
        tokenizer,
        wanted,
        manifest.history if manifest is not None else (),
        _side_files(folder, config, tokenizer),
    )


def load_encoder(
    model: str | Path,
    *,
    task: str,
    labels: Sequence[str] = (),
    problem: Problem | None = None,
    seed: int = 0,
    revision: str | None = None,
    note: Note = logged,
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
        note: Is told where files contradict each other, and which is followed.

    Raises:
        UsageError: If there is no such task.
        LoadError: If the folder is not a known encoder, lacks encoder weights, or is damaged.
    """
    import torch

    check_task_name(task)
    folder = locate(model, revision=revision)
    manifest = verified_manifest(folder)
    config = read_config(folder, str(model), note=note)
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
        _check_not_packed(folder, str(model), fit)
        check_fit(str(model), task, fit, but=("pooler", *HEAD_MODULES))
        renew_head(loaded)
    return Checkpoint(
        loaded,
        read_tokenizer(folder, str(model), config, note=note),
        task,
        manifest.history if manifest is not None else (),
    )


def _check_not_packed(folder: Path, name: str, fit: Fit) -> None:
    """Fails where weights do not fit because they were quantized by another tool."""
    packed = read_fields(folder).get("quantization_config")
    if packed and (fit.dropped or fit.resized):
        method = packed.get("quant_method", "unknown") if isinstance(packed, dict) else packed
        raise LoadError(
            f"the weights of {name} are quantized already ({method}, quantization_config in "
            "config.json), and bertcompress begins at floats; give the folder that they were made "
            "from"
        )


def _load_onnx(
    folder: Path,
    name: str,
    config: PreTrainedConfig,
    manifest: Manifest | None,
    task: str,
    note: Note,
) -> OnnxModel:
    graph = _read_graph(folder, config, manifest, task)
    length = fixed_length(graph)
    if length is not None:  # it was traced with so many tokens, and has positions for no more
        rows = min(config.max_position_embeddings, length + first_position(config))
        config.max_position_embeddings = rows
    tokenizer = read_tokenizer(folder, name, config, note=note)
    return OnnxModel(
        graph=graph,
        config=config,
        tokenizer=tokenizer,
        task=task,
        history=manifest.history if manifest is not None else (),
        side_files=_side_files(folder, config, tokenizer),
    )


def _side_files(
    folder: Path, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerFast
) -> dict[str, bytes]:
    """Returns the files that travel with a model, which tell the length that it cuts texts at."""
    limit = min(tokenizer.model_max_length, longest_text(config))
    return with_text_limit(read_side_files(folder), limit)


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


def _read_graph(
    folder: Path, config: PreTrainedConfig, manifest: Manifest | None, task: str
) -> onnx.ModelProto:
    """Reads a folder's graph; one that this library did not export takes its form."""
    path = graph_path(folder) or folder / ONNX_NAME
    graph = read_graph(path)
    if manifest is not None:
        return graph
    with sound_graph(path):
        return normal_form(
            graph,
            name=str(path),
            task=task,
            segments="token_type_ids" in input_names(config),
            first_position=first_position(config),
        )
