"""What is known of a graph before it answers; tests/borders/test_foreign_graphs.py has the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.graph.edit import copy_of
from bertcompress.inference import foreign_graph
from bertcompress.inference.foreign_graph import has_graph, longest_of_graph, which_runs


def test_own_graphs_are_not_read_again(
    tiny_graph: Callable[..., OnnxModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tiny_graph(), tmp_path / "own")
    monkeypatch.setattr(foreign_graph, "check_graph", lambda path: pytest.fail("read"))

    assert longest_of_graph(folder) is None


def test_a_graph_without_history_is_looked_through(
    tiny_graph: Callable[..., OnnxModel], tmp_path: Path
) -> None:
    model = tiny_graph()
    graph = copy_of(model.graph)
    axis = graph.graph.input[0].type.tensor_type.shape.dim[1]
    axis.Clear()
    axis.dim_value = 9
    folder = save(OnnxModel(graph, model.config, model.tokenizer, model.task), tmp_path / "x")

    assert longest_of_graph(folder) == 9


def test_a_folder_of_both_kinds_says_which_is_run(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    for file in tiny_folder().iterdir():
        (tmp_path / file.name).symlink_to(file)
    assert not has_graph(tmp_path)
    assert which_runs(tmp_path, "torch-cpu", "checkpoint") is None

    (tmp_path / "model.onnx").touch()

    assert has_graph(tmp_path)
    said = which_runs(tmp_path, "torch-cpu", "checkpoint")
    assert said is not None
    assert said.endswith("torch-cpu runs the weights; the graph with --runtime ort-cpu")
