"""Graphs for other machines: ``quantize --target`` and ``export --format ort``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bertcompress.artifacts.artifact import OnnxModel, read_manifest, save

Ok = Callable[..., str]
Fails = Callable[..., str]


def test_a_graph_for_a_cpu_without_vnni_says_so(
    tiny_graph: Callable[..., OnnxModel], here: Path, ok: Ok, fails: Fails
) -> None:
    graph = save(tiny_graph(), here / "float")

    ok("quantize", graph, "--method", "dynamic", "--target", "avx2", "-o", "old")

    manifest = read_manifest(here / "old")
    assert manifest is not None
    step = manifest.history[-1]
    assert step.settings["target"] == "avx2"
    assert step.details["weights"] == "7 bits (no VNNI)"
    assert "target is for --method" in fails(2, "quantize", graph, "--target", "avx2", "-o", "x")
    typed = ("quantize", graph, "--method", "dynamic", "--target", "sse2", "-o", "x")
    assert "target must be one of avx2" in fails(2, *typed)


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
