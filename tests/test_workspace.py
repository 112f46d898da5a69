"""The workspace: numbering, the newest artifact, what a killed process left, the lineage."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.errors import DataError, UsageError
from bertcompress.ownership import work_folder
from bertcompress.workspace import (
    Workspace,
    create_workspace,
    find_workspace,
    record_measured,
)

MakeCheckpoint = Callable[..., Checkpoint]


def fake_artifact(folder: Path, kind: str = "checkpoint") -> Path:
    folder.mkdir(parents=True)
    manifest = {
        "format": 1,
        "kind": kind,
        "task": "text-classification",
        "history": [],
        "files": {},
    }
    (folder / "bertcompress.json").write_text(json.dumps(manifest))
    if kind == "onnx":
        (folder / "onnx").mkdir()
        (folder / "onnx/model.onnx").write_bytes(b"graph")
    return folder


def test_what_was_created_is_found_again(tmp_path: Path) -> None:
    made = Workspace(tmp_path, "some/model", {"source": "x.csv", "text": "said"}, None, 3)

    assert create_workspace(made) == tmp_path / "bertcompress.yaml"

    assert find_workspace(tmp_path) == made
    assert find_workspace(tmp_path.parent) is None
    with pytest.raises(UsageError, match="is there already"):
        create_workspace(made)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("data: x\n", UsageError, "must say model:"),
        ("model: m\nmodle: n\n", UsageError, "did you mean 'model'?"),
        ("model: m\nseed: a\n", UsageError, "seed must be a whole number, got 'a'"),
        ("model: m\ndata: 3\n", UsageError, "data must be a path or a mapping, got 3"),
        ("model: [\n", DataError, "can't be read"),
    ],
)
def test_a_damaged_file_is_named(
    tmp_path: Path, text: str, error: type[Exception], said: str
) -> None:
    (tmp_path / "bertcompress.yaml").write_text(text)

    with pytest.raises(error) as failure:
        find_workspace(tmp_path)

    assert said in str(failure.value)


def test_the_newest_artifact_is_the_one_with_the_highest_number(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "hub/model")
    assert workspace.newest() == "hub/model"
    for name in ("009-prune", "010-finetune", "1000-prune"):
        fake_artifact(tmp_path / "artifacts" / name)

    assert workspace.newest() == str(tmp_path / "artifacts/1000-prune")
    assert workspace.next_artifact("export").name == "1001-export"


def test_only_whole_artifacts_count_and_no_number_is_used_twice(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "m")
    fake_artifact(tmp_path / "artifacts/001-prune")
    (tmp_path / "artifacts/002-export").mkdir()
    (tmp_path / "artifacts/notes").mkdir()

    assert [path.name for path in workspace.artifacts()] == ["001-prune"]
    assert workspace.next_artifact("export").name == "003-export"


def test_the_newest_checkpoint_is_before_the_export(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "m")
    assert workspace.newest_checkpoint() == "m"
    fake_artifact(tmp_path / "artifacts/001-prune")
    fake_artifact(tmp_path / "artifacts/002-export", "onnx")

    assert workspace.newest_checkpoint() == str(tmp_path / "artifacts/001-prune")


def test_the_model_is_seen_from_where_the_command_runs(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()

    assert Workspace(tmp_path, "model").model_here == str(tmp_path / "model")
    assert Workspace(tmp_path, "hub/model").model_here == "hub/model"


def test_what_a_killed_process_left_is_removed(tmp_path: Path, ended_process: int) -> None:
    folder = tmp_path / "artifacts"
    running = f".001-prune.new.{os.getpid()}-00112233"
    for name in (f".001-prune.new.{ended_process}-00112233", running, ".001-finetune.state"):
        (folder / name).mkdir(parents=True)

    Workspace(tmp_path, "m").next_artifact("prune")

    assert sorted(path.name for path in folder.iterdir()) == [".001-finetune.state", running]


def test_two_verbs_at_once_take_two_numbers(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "m")
    first = workspace.next_artifact("prune")
    with work_folder(first.with_name(f".{first.name}.state")):
        assert workspace.next_artifact("quantize").name == "002-quantize"
    assert workspace.next_artifact("quantize").name == "001-quantize"


def test_kept_steps_go_when_their_number_is_taken(tmp_path: Path) -> None:
    (tmp_path / "artifacts/.001-finetune.state").mkdir(parents=True)
    fake_artifact(tmp_path / "artifacts/001-prune")
    (tmp_path / "artifacts/.002-finetune.state").mkdir()

    Workspace(tmp_path, "m").next_artifact("finetune")

    kept = sorted(path.name for path in (tmp_path / "artifacts").iterdir())
    assert kept == [".002-finetune.state", "001-prune"]


def test_the_lineage_has_the_figures_of_the_newest_report(
    tmp_path: Path, tiny_checkpoint: MakeCheckpoint
) -> None:
    workspace = Workspace(tmp_path, "m")
    folder = save(tiny_checkpoint(), tmp_path / "artifacts/001-prune")
    assert workspace.lineage()[0].figures is None
    for number, accuracy in (("001", 0.5), ("002", 0.75)):
        report = tmp_path / "reports" / number
        report.mkdir(parents=True)
        row = {"name": "small", "accuracy": accuracy, "latency": {"median_s": {"estimate": 0.002}}}
        written = {"metric": "accuracy", "summary": {"variants": [row, {**row, "name": "other"}]}}
        (report / "report.json").write_text(json.dumps(written))
        record_measured(report, {"small": folder})
    (tmp_path / "reports/003").mkdir()

    [line] = workspace.lineage()

    assert line.figures is not None
    assert (line.figures.accuracy, line.figures.latency_s) == (0.75, 0.002)
    assert line.figures.report.name == "002"
    assert line.size_bytes == (folder / "model.safetensors").stat().st_size
    assert workspace.next_report().name == "003"  # it was interrupted


def test_a_damaged_report_says_nothing(tmp_path: Path, tiny_checkpoint: MakeCheckpoint) -> None:
    folder = save(tiny_checkpoint(), tmp_path / "artifacts/001-prune")
    report = tmp_path / "reports/001"
    report.mkdir(parents=True)
    record_measured(report, {"small": folder})
    (report / "report.json").write_text("{")

    assert Workspace(tmp_path, "m").lineage()[0].figures is None
