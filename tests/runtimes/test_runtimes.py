"""The runtimes: the same answers, the one asked for, and what is said when it can't run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.errors import LoadError, RunError, UsageError
from bertcompress.runtimes import open_runtime, runtime_for

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
        assert first.input_names == b.input_names == tuple(FEED)
        assert first.outputs == b.outputs == ("logits",)
    np.testing.assert_allclose(got["logits"], expected["logits"], atol=1e-5)


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


def test_a_folder_that_is_damaged(graph_folder: Path) -> None:
    (graph_folder / "bertcompress.json").write_text("{")
    with pytest.raises(LoadError, match="damaged"):
        open_runtime(graph_folder, threads=1)
