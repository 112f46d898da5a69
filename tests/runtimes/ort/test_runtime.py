"""ONNX Runtime's runtime: its name, what it refuses, and what has to be there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.errors import (
    MissingDependencyError,
    MissingHardwareError,
    RunError,
)
from bertcompress.machine import gpus as nvidia
from bertcompress.machine.gpus import Gpu
from bertcompress.runtimes import open_runtime
from bertcompress.runtimes.ort import checks as ort_checks
from bertcompress.runtimes.ort.providers import ProviderSettings
from bertcompress.runtimes.ort.runtime import OrtRuntime, check_provider

HOPPER = Gpu("NVIDIA H100", (9, 0), 132, 80 << 30, (13, 0))


@pytest.mark.parametrize("name", ["ort-cuda", "ort-tensorrt"])
def test_no_gpu_is_told_before_anything_is_loaded(
    tiny_graph: Callable[..., OnnxModel],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr(nvidia, "_driver", lambda: None)
    folder = save(tiny_graph(), tmp_path / "graph")
    with pytest.raises(MissingHardwareError, match=f"{name} needs an NVIDIA GPU") as caught:
        open_runtime(folder, name, threads=1)
    assert caught.value.exit_code == 5


def test_a_library_without_the_provider_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has it")
    monkeypatch.setattr(nvidia, "gpus", lambda: (HOPPER,))
    monkeypatch.setattr(ort_checks, "_is_installed", lambda name: name == "onnxruntime-gpu")
    with pytest.raises(MissingHardwareError, match="built without CUDAExecutionProvider"):
        check_provider("ort-cuda")


def test_the_runtime_is_named_after_its_provider(tmp_path: Path) -> None:
    cuda = ProviderSettings("cuda")
    assert OrtRuntime(b"", threads=1).name == "ort-cpu"
    assert OrtRuntime(b"", threads=1, settings=cuda).name == "ort-cuda"
    assert replace(cuda, longest=64).options(()) == cuda.options(())


FEED = {
    "input_ids": np.asarray([[2, 90, 91, 3], [2, 90, 3, 0]]),
    "attention_mask": np.asarray([[1, 1, 1, 1], [1, 1, 1, 0]]),
    "token_type_ids": np.zeros((2, 4), dtype=np.int64),
}


@pytest.fixture
def graph_folder(tiny_graph: Callable[..., OnnxModel], tmp_path: Path) -> Path:
    return save(tiny_graph(), tmp_path / "graph")


def test_a_missing_library_is_said_with_its_extra(
    graph_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "bertcompress\[cpu\]"'):
        open_runtime(graph_folder, threads=1)


def test_a_graph_that_is_not_one(tmp_path: Path) -> None:
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"not a graph")
    with pytest.raises(RunError, match="can't load"), OrtRuntime(broken, threads=1):
        pass


def test_an_input_of_the_wrong_type(graph_folder: Path) -> None:
    wrong = {**FEED, "input_ids": FEED["input_ids"].astype(np.float32)}
    with (
        open_runtime(graph_folder, threads=1) as runtime,
        pytest.raises(RunError, match="refused the inputs"),
    ):
        runtime.run(wrong)


def test_a_closed_runtime_does_not_run(graph_folder: Path) -> None:
    runtime = open_runtime(graph_folder, threads=1)
    with pytest.raises(RunError, match="'with' block"):
        runtime.run(FEED)
