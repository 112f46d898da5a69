"""Quantized as typed: with a way that fits, for other machines, to a size or a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import OnnxModel, read_manifest, save

Ok = Callable[..., str]


@pytest.mark.slow
def test_prune_and_quantize_work_as_typed(ok: Ok, workspace: Path) -> None:
    assert ok("prune", "--heads", "0.3") == "artifacts/001-prune"
    assert ok("quantize", "--bits", "8") == "artifacts/002-quantize"

    manifest = read_manifest(workspace / "artifacts/002-quantize")
    assert manifest is not None
    names = [step.name for step in manifest.history]
    assert names == ["Prune", "ExportOnnx", "QuantizeBest"]
    assert (workspace / "artifacts/002-quantize/onnx/model.onnx").is_file()


@pytest.mark.slow
def test_what_is_too_slow_is_kept_and_marked_rejected(fails: Ok, ok: Ok, workspace: Path) -> None:
    sentence = fails(4, "quantize", "--target-latency", "0.001ms")

    assert "0.00 ms were asked" in sentence
    assert "kept in artifacts/001-quantize, marked rejected" in sentence
    assert "rejected" in ok("show", "artifacts/001-quantize")


Ok = Callable[..., str]


def test_four_bits_and_no_embeddings(ok: Ok, here: Path, model: Path) -> None:
    ok("export", model, "-o", "graph")
    small = json.loads(ok("quantize", "graph", "--bits", "4", "-o", "int4", "--json"))
    line = ("quantize", "graph", "--method", "dynamic", "--no-embeddings", "-o", "int8", "--json")
    bigger = json.loads(ok(*line))

    assert small["steps"] == ["ExportOnnx", "QuantizeWeights"]
    assert bigger["steps"] == ["ExportOnnx", "QuantizeDynamic"]
    assert small["size_bytes"] < bigger["size_bytes"]


def test_a_target_size_is_kept_or_refused(ok: Ok, fails: Ok, here: Path, workspace: Path) -> None:
    ok("export")
    line = ("quantize", "artifacts/001-export", "--samples", "16")
    ok(*line, "--target-size", "90kB", "-o", "small")
    floats = (here / "artifacts/001-export/onnx/model.onnx").stat().st_size
    assert (here / "small/onnx/model.onnx").stat().st_size <= 90_000 < floats

    assert "smallest file" in fails(4, *line, "--target-size", "9kB", "-o", "smaller")
    assert not (here / "smaller").exists()


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
