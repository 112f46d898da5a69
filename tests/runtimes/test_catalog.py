"""The list of runtimes: complete, told in the help, and each sentence says what to type."""

from __future__ import annotations

import pytest

from bertcompress.machine import gpus as nvidia
from bertcompress.runtimes import RUNTIME_NAMES, why_unusable
from bertcompress.runtimes.catalog import CATALOG, ENTRIES


def test_names_are_there_once() -> None:
    assert len(ENTRIES) == len(CATALOG) == len(RUNTIME_NAMES)
    assert {one.runs for one in CATALOG} >= {"onnx", "checkpoint"}


def test_without_a_gpu_the_cpu_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "_driver", lambda: None)
    for entry in CATALOG:
        if entry.on_gpu:  # TensorRT says so itself, once it is installed
            sentence = "TensorRT, which is not installed; type: pip"
            wanted = sentence if entry.runs == "engine" else "nvidia-smi"
            assert wanted in str(why_unusable(entry.name))
    assert why_unusable("torch-cpu") is why_unusable("ort-cpu") is None
