"""A model without its weights: the same task, labels and tokens that `load` gives."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.frontend import load_config, load_frontend
from bertcompress.bert.loading.plain_config import PlainConfig
from bertcompress.errors import UsageError
from fixtures.loading import refusal


@pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="what Transformers 4 writes is read by Transformers, never plainly",
)
def test_a_saved_graph_is_read_without_transformers(
    tiny_graph: Callable[..., OnnxModel], tmp_path: Path, task: str
) -> None:
    frontend = load_frontend(save(tiny_graph(task=task), tmp_path / "graph"), "graph")

    assert isinstance(frontend.config, PlainConfig)
    assert (frontend.task, frontend.longest) == (task, 128)


def test_a_graph_that_nobody_signed_is_read_by_transformers(
    tiny_graph: Callable[..., OnnxModel], tmp_path: Path
) -> None:
    folder = save(tiny_graph(), tmp_path / "graph")
    (folder / "bertcompress.json").unlink()

    frontend = load_frontend(folder, "graph")

    assert not isinstance(frontend.config, PlainConfig)
    assert (frontend.task, frontend.longest) == ("text-classification", 128)


def test_a_checkpoints_weights_may_stay_unread(
    tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    folder = save(tiny_checkpoint(), tmp_path / "checkpoint")
    (folder / "model.safetensors").write_bytes(b"")

    assert load_frontend(folder, "model", unread=("*.safetensors",)).longest == 128
    assert "model.safetensors is not the file" in refusal(lambda: load_frontend(folder, "model"))


def test_a_task_that_is_not_the_models_is_refused(
    tiny_folder: Callable[..., Path], tiny_graph: Callable[..., OnnxModel], tmp_path: Path
) -> None:
    tagger, graph = tiny_folder("token-classification"), save(tiny_graph(), tmp_path / "graph")
    wanted = "question-answering"

    assert "there is no task" in refusal(lambda: load_frontend(graph, "m", task="ner"), UsageError)
    assert "m is a graph for text-classification, not for question-answering" in refusal(
        lambda: load_frontend(graph, "m", task=wanted)
    )
    assert "m is a BertForTokenClassification, not fine-tuned for question-answering" in refusal(
        lambda: load_frontend(tagger, "m", task=wanted)
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{junk", "config.json is not JSON"),
        (b"\xff\xfe\x00", "config.json is not JSON"),
        (b"[]", "config.json must hold a JSON object"),
        (b"{}", "without a model_type"),
    ],
)
def test_a_configuration_that_is_junk_is_refused(
    tiny_folder: Callable[..., Path], tmp_path: Path, content: bytes, sentence: str
) -> None:
    folder = shutil.copytree(tiny_folder(), tmp_path / "model")
    (folder / "config.json").write_bytes(content)

    assert sentence in refusal(lambda: load_config(folder))
    assert sentence in refusal(lambda: load_frontend(folder, "model"))
