"""The GPU benchmark as far as a CPU can run it: a dry run, the whole harness, going on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.errors import MissingHardwareError, RunError
from bertcompress.runtimes import FakeRuntime
from bertcompress.runtimes.torch.settings import TorchSettings
from gpu.main import execute, main
from gpu.measure import Scale, drawn_lengths, feed_of, graphs_on_and_off, token_batches
from gpu.models import TINY, make_checkpoint
from gpu.plan import Run
from gpu.steps import Kept, SkippedError, Step, run_steps
from gpu.subjects import ModelFolders, gpu_subjects
from tests.fixtures.recorder import EagerRecorder

RUN = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu" / "run.sh"


@pytest.mark.slow
def test_a_dry_run_and_the_harness_on_the_cpu(
    tiny_folder: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given_ = [str(tiny_folder()), "--graphs", "fp32", "--threads", "1", "--work", str(tmp_path)]
    assert main([*given_, "--dry-run"]) == 0
    assert "would measure text-classification: torch-cuda, torch-cuda-fp16" in (
        capsys.readouterr().out
    )
    run = Run("cpu", (tiny_folder(),), tmp_path, tmp_path / "report", 6.0, 1, ("fp32",))
    assert execute(run, seconds=600) == 0
    steps = json.loads((tmp_path / "report" / "report.json").read_text())["steps"]
    rows = steps["parity:text-classification"]["rows"]
    assert set(rows) == {"torch-cpu", "torch-cpu packed", "ort-cpu fp32"}
    assert all(one["within"] and one["agreement"] == 1 for one in rows.values())
    cells = steps["grid:text-classification"]["rows"]
    assert [(one["batch"], one["length"]) for one in cells] == [(1, 16), (4, 16), (1, 64), (4, 64)]
    assert len(cells[0]["runtimes"]) == 3
    assert all("runtimes" in one or "skipped" in one for one in cells)
    text = (tmp_path / "report" / "report.md").read_text()
    assert "## text-classification: real lengths" in text
    assert "ort-cpu fp16: " not in text
    capsys.readouterr()
    assert execute(run, seconds=600) == 0
    said = capsys.readouterr().out.splitlines()
    assert all("kept from an earlier run" in line for line in said[:-1])


def test_the_command_says_what_it_lacks(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    found = subprocess.run(
        [RUN, "--dry-run"], env={"PYTHON": str(python)}, capture_output=True, text=True, check=False
    )
    assert found.returncode == 5
    assert "has no package torch" in found.stderr


def test_a_step_is_skipped_fails_or_is_kept(tmp_path: Path) -> None:
    def skipped(_: float) -> dict[str, object]:
        raise SkippedError("nothing to do")

    def missing(_: float) -> dict[str, object]:
        raise MissingHardwareError("no GPU")

    def failing(_: float) -> dict[str, object]:
        raise RunError("broken\nand more")

    works = {"a": skipped, "b": missing, "c": failing, "d": lambda budget_s: {"budget": budget_s}}
    steps = [Step(name, work, 7.0) for name, work in works.items()]
    kept, said = Kept(tmp_path, {"mode": "cpu"}), []
    found = run_steps(steps, kept, seconds=100, say=said.append)
    assert found["a"]["skipped"] == "nothing to do"
    assert found["b"]["skipped"] == "no GPU"
    assert found["c"]["failed"] == "RunError: broken"
    assert found["d"]["budget"] == 7.0
    assert [kept.get(name) is not None for name in works] == [False, False, False, True]
    assert Kept(tmp_path, {"mode": "gpu"}).get("d") is None
    assert "no time was left" in str(run_steps(steps[:1], kept, seconds=0, say=said.append))


def test_a_pruned_model_has_half_the_heads_and_neurons(tmp_path: Path) -> None:
    dense = make_checkpoint(TINY["tiny"], tmp_path / "dense", pruned=False)
    pruned = make_checkpoint(TINY["tiny"], tmp_path / "pruned", pruned=True)
    assert dense["layer_heads"] == [4, 4]
    assert pruned["layer_heads"] == [2, 2]
    assert pruned["layer_ffn"] == [128, 128]


def test_engines_and_graphs_are_measured_where_they_are(tmp_path: Path) -> None:
    model = ModelFolders("m", tmp_path, tmp_path / "graphs", tmp_path / "engines")
    names = [one.name for one in gpu_subjects(model, threads=1)]
    assert len(set(names)) == len(names)
    assert {"ort-cuda fp16", "tensorrt int8 latency", "tensorrt int8 packed"} <= set(names)
    assert "torch-cuda-packed" in names


def test_recorded_and_eager_are_compared(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    model = ModelFolders("m", tiny_folder(), tmp_path, tmp_path)
    found = graphs_on_and_off(
        model,
        Scale((1,), (16,), 60, 128, 8),
        threads=1,
        settings=TorchSettings(graphs=True),
        recorder=EagerRecorder,
        budget_s=0.01,
    )
    rows = found["rows"]
    assert isinstance(rows, list)
    assert [one["shape"] for one in rows] == [[1, 16], [1, 128], [8, 16], [8, 128]]
    assert all(one["same_twice"] and one["difference"] < 1e-5 for one in rows)


@given(st.lists(st.integers(1, 384), min_size=1, max_size=60), st.integers(1, 70))
def test_batches_of_tokens_hold_every_text_once(lengths: list[int], most: int) -> None:
    batches = token_batches(np.asarray(lengths), 1024, most=most)
    assert sorted(at for one in batches for at in one) == list(range(len(lengths)))
    for one in batches:
        longest = max(lengths[at] for at in one)
        assert len(one) <= most
        assert len(one) == 1 or len(one) * longest <= 1024


def test_drawn_lengths_are_as_they_are_called() -> None:
    short = drawn_lengths(3.1, 0.55, 66, 1024)
    assert 20 < short.mean() < 30
    assert short.min() >= 3
    feed = feed_of(short[:4], vocabulary=100)
    assert feed["attention_mask"].sum() == short[:4].sum()


def test_a_runtime_that_refuses_a_batch_is_told() -> None:
    from gpu.timing import LEAST, time_in_turns

    def refuse(_: object) -> dict[str, np.ndarray]:
        raise RunError("too large")

    def answer(_: object) -> dict[str, np.ndarray]:
        return {"logits": np.zeros((1, 2))}

    runtimes = {
        "refusing": FakeRuntime(refuse, outputs=("logits",)),
        "good": FakeRuntime(answer, outputs=("logits",)),
    }
    feed = feed_of(np.asarray([4]), vocabulary=50)
    samples, refused = time_in_turns(runtimes, feed, budget_s=0.01)
    assert refused == {"refusing": "RunError: too large"}
    assert set(samples) == {"good"}
    assert len(samples["good"].host_s) >= LEAST
