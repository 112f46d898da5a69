"""Finished parts on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.bench.rounds import RoundResult
from bertcompress.bench.state import StateFolder
from bertcompress.errors import RunError
from bertcompress.files import write_atomically


def test_parts_are_found_by_their_key_alone(tmp_path: Path) -> None:
    StateFolder(tmp_path, {"a": 1, "b": 2}).write("round-000", [1, 2])

    assert StateFolder(tmp_path, {"b": 2, "a": 1}).read("round-000") == [1, 2]
    assert StateFolder(tmp_path, {"a": 2}).read("round-000") is None


def test_a_finished_run_leaves_nothing(tmp_path: Path) -> None:
    state = StateFolder(tmp_path, "key")
    state.write("round-000", 1)

    state.remove()

    assert list(tmp_path.iterdir()) == []


def test_a_part_is_measured_once_and_handed_on_as_it_is(tmp_path: Path) -> None:
    measured: list[int] = []

    def measure() -> RoundResult:
        measured.append(1)
        return RoundResult((), 0.5, None)

    state = StateFolder(tmp_path, "key")
    first = state.kept("round-000", RoundResult, measure)
    second = StateFolder(tmp_path, "key").kept("round-000", RoundResult, measure)

    assert first == second == RoundResult((), 0.5, None)
    assert len(measured) == 1


def test_a_folder_that_can_not_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(RunError, match="can't write"):
        StateFolder(tmp_path / "file", "key")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_atomically(path, "old")

    with pytest.raises(RunError, match="could not write"):
        write_atomically(path / "report.json", "new")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")

    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
