"""The commands of the measuring process."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.bench.variant import Subject
from bertcompress.bench.worker.fake import FakeArtifact, write_fake
from bertcompress.bench.worker.main import Worker, serve
from bertcompress.bench.workload import save_workload, single_stream


def answers_to(*commands: dict[str, object]) -> list[dict[str, object]]:
    worker, written = Worker(), io.StringIO()
    text = "".join(json.dumps(command) + "\n" for command in commands)
    serve(worker, io.StringIO(text), written)
    worker.close()
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_each_command_gets_one_line(subject: Subject, tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact())
    path = str(tmp_path / "own.npz")
    workload = single_stream(subject.features[:4], pad_token_id=0, name="own")
    save_workload(workload, tmp_path / "own.npz")

    answers = answers_to(
        {"command": "load", "folder": str(folder), "runtime": "fake", "threads": 1},
        {"command": "first", "workload": path},
        {"command": "warm", "workload": path, "minimum_s": 0.0, "maximum_s": 0.05},
        {"command": "time", "workload": path, "start": 0, "stop": 4, "settle": 9},
        {"command": "predict", "workload": path, "output": str(tmp_path / "out.npz")},
        {"command": "memory"},
    )

    assert len(answers) == 6
    assert answers[0]["outputs"] == ["logits"]
    assert isinstance(answers[3]["seconds"], list)
    assert len(answers[3]["seconds"]) == 4
    assert answers[4] == {"feeds": 4}
    assert (tmp_path / "out.npz").is_file()


def test_errors_are_answers() -> None:
    answers = answers_to({"command": "dance"}, {"command": "memory"})

    assert answers[0]["kind"] == "RunError"
    assert "peak_bytes" in answers[1]


def test_a_worker_opens_streams_and_puts_both_loads_on_them(
    subject: Subject, tmp_path: Path
) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact(seconds=0.02))
    path = tmp_path / "own.npz"
    save_workload(single_stream(subject.features[:20], pad_token_id=0, name="own"), path)
    load = {"command": "load", "folder": str(folder), "runtime": "fake", "threads": 1}
    work = {"workload": str(path)}
    requests = {"rate": 200.0, "requests": 10, "seed": 0, "allowed": 0}

    answers = answers_to(
        load,
        {"command": "sweep", **work},
        {"command": "arrange", "streams": 2, "threads": 1},
        {"command": "sweep", **work},
        {"command": "rate", "slice_s": 0.02, **work},
        {"command": "arrive", "bound_s": 1.0, **requests, **work},
        {"command": "arrive", "bound_s": 0.001, **requests, **work},
        {"command": "time", "start": 0, "stop": 2, "settle": 0, **work},
    )

    one, two = answers[1]["seconds"], answers[3]["seconds"]
    assert isinstance(one, float)
    assert isinstance(two, float)
    assert one / two > 1.3
    assert answers[2] == {"streams": 2}
    assert sorted(answers[4]) == ["calls", "seconds", "sentences_per_s", "tokens_per_s"]
    assert answers[5]["whole"] is True
    assert len(answers[5]["latencies_s"]) == 10  # type: ignore[arg-type]  # a list
    assert answers[6]["whole"] is False
    assert len(answers[7]["seconds"]) == 2  # type: ignore[arg-type]  # a list


def test_streams_of_openvino(
    subject: Subject, tiny_graph: Callable[..., OnnxModel], tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    folder = save(tiny_graph(), tmp_path / "graph")
    path = tmp_path / "own.npz"
    save_workload(single_stream(subject.features[:20], pad_token_id=0, name="own"), path)

    answers = answers_to(
        {"command": "load", "folder": str(folder), "runtime": "openvino", "threads": 1},
        {"command": "arrange", "streams": 2, "threads": 1},
        {"command": "sweep", "workload": str(path)},
        {"command": "arrange", "streams": 1, "threads": 1},
        {"command": "time", "start": 0, "stop": 2, "settle": 0, "workload": str(path)},
    )

    assert answers[0]["runtime"] == "openvino"
    assert answers[1] == {"streams": 2}
    assert isinstance(answers[2]["seconds"], float)
    assert len(answers[4]["seconds"]) == 2  # type: ignore[arg-type]  # a list


def test_streams_need_something_loaded() -> None:
    [answer] = answers_to({"command": "arrange", "streams": 2, "threads": 1})

    assert "before it was asked to load" in str(answer["error"])
