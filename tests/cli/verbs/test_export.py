"""Graphs for mobile builds: ``export --format ort``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import OnnxModel, save

Ok = Callable[..., str]
Fails = Callable[..., str]


@pytest.mark.slow
def test_a_graph_and_a_checkpoint_are_written_for_mobile_builds(
    tiny_graph: Callable[..., OnnxModel], model: Path, here: Path, ok: Ok, fails: Fails
) -> None:
    graph = save(tiny_graph(), here / "float")

    ok("export", graph, "--format", "ort", "-o", "from-graph")
    facts = json.loads(ok("export", model, "--format", "ort", "-o", "from-model", "--json"))

    assert facts["steps"] == ["ExportOnnx", "WriteOrtFormat"]
    for folder in ("from-graph", "from-model"):
        assert (here / folder / "onnx" / "model.ort").is_file()
        assert (here / folder / "onnx" / "model.onnx").is_file()
    assert "format must be onnx or ort" in fails(2, "export", model, "--format", "tf", "-o", "x")
    typed = ("export", graph, "--format", "ort", "--opset", "18", "-o", "x")
    assert "is a graph already" in fails(2, *typed)
