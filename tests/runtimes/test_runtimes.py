"""The runtimes: the same answers, the one asked for, and what is said when it can't run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.errors import LoadError, MissingDependencyError, RunError, UsageError
from bertcompress.runtimes import FakeRuntime, open_runtime, runtime_for
from bertcompress.runtimes.ort.runtime import OrtRuntime

FEED = {
    "input_ids": np.asarray([[2, 90, 91, 3], [2, 90, 3, 0]]),
    "attention_mask": np.asarray([[1, 1, 1, 1], [1, 1, 1, 0]]),
    "token_type_ids": np.zeros((2, 4), dtype=np.int64),
}


@pytest.fixture
def graph_folder(tiny_graph: Callable[..., OnnxModel], tmp_path: Path) -> Path:
    return save(tiny_graph(), tmp_path / "graph")


def test_auto_takes_the_runtime_that_fits_the_folder(
    tiny_folder: Callable[..., Path], graph_folder: Path
) -> None:
    assert runtime_for(tiny_folder()) == "torch-cpu"
    assert runtime_for(graph_folder) == "ort-cpu"


def test_both_runtimes_answer_the_same(
    tiny_folder: Callable[..., Path], graph_folder: Path
) -> None:
    with (
        open_runtime(tiny_folder(), threads=1) as first,
        open_runtime(graph_folder, threads=1) as b,
    ):
        expected, got = first.run(FEED), b.run(FEED)
        assert (first.name, b.name) == ("torch-cpu", "ort-cpu")
        assert first.inputs == b.inputs == tuple(FEED)
        assert first.outputs == b.outputs == ("logits",)
    np.testing.assert_allclose(got["logits"], expected["logits"], atol=1e-5)


def test_torch_gets_its_threads_back(tiny_folder: Callable[..., Path]) -> None:
    before = torch.get_num_threads()
    with open_runtime(tiny_folder(), threads=before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_the_wrong_runtime_is_refused(tiny_folder: Callable[..., Path], graph_folder: Path) -> None:
    with pytest.raises(RunError, match="bertcompress export"):
        open_runtime(tiny_folder(), "ort-cpu", threads=1)
    with pytest.raises(RunError, match="torch-cpu can't run"):
        open_runtime(graph_folder, "torch-cpu", threads=1)


def test_an_unknown_runtime_is_refused(graph_folder: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'ort-cpu'"):
        open_runtime(graph_folder, "ort-gpu", threads=1)


def test_no_threads_are_refused(graph_folder: Path) -> None:
    with pytest.raises(UsageError, match="threads must be 1 or more, got 0"):
        open_runtime(graph_folder, threads=0)


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


def test_a_folder_that_is_damaged(graph_folder: Path) -> None:
    (graph_folder / "bertcompress.json").write_text("{")
    with pytest.raises(LoadError, match="damaged"):
        open_runtime(graph_folder, threads=1)


def test_the_fake_answers_with_its_function() -> None:
    with FakeRuntime(lambda feed: {"logits": feed["input_ids"] * 2}, outputs=("logits",)) as fake:
        np.testing.assert_array_equal(fake.run(FEED)["logits"], FEED["input_ids"] * 2)
        assert fake.calls == 1
