"""The parent and its child: answers, errors, deaths."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from bertcompress.bench.variant import Subject
from bertcompress.bench.worker.client import WorkerProcess, thread_variables
from bertcompress.bench.worker.fake import FakeArtifact, write_fake
from bertcompress.bench.worker.messages import (
    Command,
    Elapsed,
    LoadArtifact,
    ReadMemory,
    RunFirst,
    RunUntilSteady,
    TimeEach,
)
from bertcompress.bench.workload import save_workload, single_stream
from bertcompress.errors import RunError


@dataclass(frozen=True)
class Dance(Command[Elapsed]):
    """Is not among the commands."""

    name: ClassVar[str] = "dance"


def process(tmp_path: Path, timeout_s: float = 30.0) -> WorkerProcess:
    return WorkerProcess("INT8", scratch=tmp_path, threads=1, timeout_s=timeout_s)


def own_lengths(subject: Subject, tmp_path: Path) -> Path:
    path = tmp_path / "own.npz"
    save_workload(single_stream(subject.features[:12], pad_token_id=0, name="own"), path)
    return path


def test_a_process_loads_warms_up_times_and_answers(subject: Subject, tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact(labels=3, seconds=0.001))
    path = own_lengths(subject, tmp_path)
    feed = single_stream(subject.features[:1], pad_token_id=0, name="one").feeds[0]

    with process(tmp_path) as worker:
        loaded = worker.load(folder, "fake")
        warm = worker.ask(RunUntilSteady(path, minimum_s=0.05, maximum_s=0.5))
        seconds = worker.ask(TimeEach(path, start=2, stop=7, settle=1)).seconds
        outputs = worker.run(feed)
        memory = worker.ask(ReadMemory())

    assert loaded.runtime == "fake"
    assert warm.runs >= 30
    assert len(seconds) == 5
    assert all(second >= 0.001 for second in seconds)
    assert outputs["logits"].shape == (1, 3)
    assert outputs["logits"].dtype == np.float32
    assert memory.peak_bytes >= memory.resident_bytes > 10_000_000


def test_no_arrays_are_left_behind(subject: Subject, tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    feed = single_stream(subject.features[:1], pad_token_id=0, name="one").feeds[0]

    with WorkerProcess("FP32", scratch=scratch, threads=1) as worker:
        worker.load(folder, "fake")
        worker.run(feed)

    assert list(scratch.iterdir()) == []


def test_an_error_in_the_child_names_the_variant(tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact(fail_load="the graph is cut short"))

    with process(tmp_path) as worker, pytest.raises(RunError, match="INT8: the graph is cut short"):
        worker.load(folder, "fake")


def test_a_failed_command_leaves_the_process_usable(subject: Subject, tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact())

    with process(tmp_path) as worker:
        with pytest.raises(RunError, match="before it was asked to load"):
            worker.ask(RunFirst(own_lengths(subject, tmp_path)))
        with pytest.raises(RunError, match="no command 'dance'"):
            worker.ask(Dance())
        with pytest.raises(RunError, match="threads must be a whole number"):
            worker.ask(LoadArtifact(folder, "fake", "two"))  # type: ignore[arg-type]  # on purpose

        assert worker.load(folder, "fake").runtime == "fake"


def test_an_unexpected_error_keeps_its_type(tmp_path: Path) -> None:
    with process(tmp_path) as worker, pytest.raises(RunError, match="INT8: FileNotFoundError"):
        worker.load(tmp_path / "nowhere", "fake")


def test_a_child_that_dies_is_an_error_with_its_last_words(
    subject: Subject, tmp_path: Path
) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact(die=True))

    with process(tmp_path) as worker:
        worker.load(folder, "fake")
        with pytest.raises(RunError, match="INT8: its measuring process ended with 3"):
            worker.ask(RunFirst(own_lengths(subject, tmp_path)))


def test_a_child_that_takes_too_long_is_an_error(subject: Subject, tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact(seconds=30.0))

    path = own_lengths(subject, tmp_path)

    started = time.monotonic()
    with process(tmp_path, timeout_s=6.0) as worker:
        worker.load(folder, "fake")
        with pytest.raises(RunError, match="no answer to 'first' within 6 s"):
            worker.ask(RunFirst(path))

    assert time.monotonic() - started < 25


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_child_ends_with_its_parent_block(
    error: type[BaseException], subject: Subject, tmp_path: Path
) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact())
    pid = 0

    with pytest.raises(error), process(tmp_path) as worker:  # noqa: PT012  # the block is the test
        worker.load(folder, "fake")
        pid = worker.pid
        raise error

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_asking_a_process_that_was_not_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not running"):
        process(tmp_path).ask(ReadMemory())


def test_threads_are_set_for_every_library() -> None:
    assert thread_variables(3)["OMP_NUM_THREADS"] == "3"
    assert thread_variables(3)["MKL_NUM_THREADS"] == "3"
