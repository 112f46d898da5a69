"""Fakes that stand in front of a real artifact and slow it down."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.artifacts.model_config import INPUT_NAMES
from bertcompress.bench.worker.fake import FakeArtifact, SlowedRuntime, open_fake, write_fake
from bertcompress.runtimes.base import Arrays, FakeRuntime


def feed() -> Arrays:
    return {name: np.ones((1, 6), dtype=np.int64) for name in INPUT_NAMES}


@pytest.mark.parametrize("slowdown", [0.0, 0.05, 1.0])
def test_a_run_takes_longer_by_the_fraction(slowdown: float) -> None:
    spans: list[float] = []

    def answer(given: Arrays) -> dict[str, np.ndarray]:
        del given
        started = time.perf_counter()
        time.sleep(0.02)
        spans.append(time.perf_counter() - started)
        return {"logits": np.zeros((1, 2))}

    with SlowedRuntime(FakeRuntime(answer, outputs=("logits",)), slowdown) as runtime:
        started = time.perf_counter()
        runtime.run(feed())
        whole = time.perf_counter() - started

    assert whole >= spans[0] * (1.0 + slowdown)
    assert runtime.outputs == ("logits",)


def test_a_fake_runs_what_it_wraps(tiny_graph: Callable[..., OnnxModel], tmp_path: Path) -> None:
    save(tiny_graph(), tmp_path / "real")
    folder = write_fake(tmp_path / "slow", FakeArtifact(wraps=str(tmp_path / "real"), slowdown=0.1))

    with open_fake(folder) as runtime:
        logits = runtime.run({name: feed()[name] for name in runtime.input_names})["logits"]

    assert logits.shape == (1, 2)
    assert float(np.abs(logits).max()) != 2.0  # the fake's own answers have a 2
