"""Answers that are on disk are not computed again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from bertcompress.bench import run as module
from bertcompress.bench.variant import Subject
from bertcompress.bench.worker.client import WorkerProcess
from bertcompress.bench.worker.kept_outputs import KeptOutputs
from bertcompress.bench.workload import Feed
from bertcompress.report.benchmark import bench
from fixtures.bench_runs import SMALL_RUN, two_fakes


def test_kept_answers_are_not_computed_again(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants, state = two_fakes(tmp_path)[:1], tmp_path / "state"

    def stop(*arguments: object, **settings: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "measure_round", stop)
        with pytest.raises(KeyboardInterrupt):
            bench(variants, subject, settings=SMALL_RUN, state_root=state)
    outputs = {path: path.stat().st_mtime_ns for path in state.rglob("*.npz")}
    with monkeypatch.context() as patch:
        patch.setattr(module, "measure_round", stop)
        with pytest.raises(KeyboardInterrupt):
            bench(variants, subject, settings=SMALL_RUN, state_root=state)

    assert len(outputs) == 2
    assert {path: path.stat().st_mtime_ns for path in state.rglob("*.npz")} == outputs


class Doubling:
    """A process that answers with twice its input, and knows how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def run(self, feed: Feed) -> Mapping[str, NDArray[np.generic]]:
        self.asked += 1
        return {"logits": 2 * feed["input_ids"]}


def test_a_batch_is_known_by_its_order_and_the_process_is_started_at_the_first_new_one(
    tmp_path: Path,
) -> None:
    started: list[Doubling] = []

    def start() -> WorkerProcess:
        started.append(Doubling())
        return cast("WorkerProcess", started[-1])

    feeds = [{"input_ids": np.array([[number]])} for number in (1, 2, 3)]
    first = KeptOutputs(start, tmp_path / "outputs")
    assert [first.run(feed)["logits"].item() for feed in feeds[:2]] == [2, 4]

    second = KeptOutputs(start, tmp_path / "outputs")
    assert [second.run(feed)["logits"].item() for feed in feeds[:2]] == [2, 4]
    assert len(started) == 1
    assert second.run(feeds[2])["logits"].item() == 6

    assert [process.asked for process in started] == [2, 1]
    names = sorted(path.name for path in (tmp_path / "outputs").iterdir())
    assert names == ["000000.npz", "000001.npz", "000002.npz"]
