"""The commands of the measuring process."""

from __future__ import annotations

import io
import json
from pathlib import Path

from bertcompress.bench.fake_artifact import FakeArtifact, write_fake
from bertcompress.bench.variant import Subject
from bertcompress.bench.worker import Worker, serve
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
        {"command": "quit"},
        {"command": "memory"},
    )

    assert len(answers) == 7
    assert answers[0]["outputs"] == ["logits"]
    assert isinstance(answers[3]["seconds"], list)
    assert len(answers[3]["seconds"]) == 4
    assert answers[4] == {"feeds": 4}
    assert answers[6] == {}
    assert (tmp_path / "out.npz").is_file()


def test_errors_are_answers() -> None:
    answers = answers_to({"command": "dance"}, {"command": "memory"})

    assert answers[0]["kind"] == "RunError"
    assert "peak_bytes" in answers[1]
