"""Only what carries our mark is removed, and only whole sets of ours are replaced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bertcompress.errors import UsageError
from bertcompress.ownership import (
    MARK,
    beside,
    check_files,
    check_place,
    clear_leftovers,
    forget,
    is_busy,
    work_folder,
)

NAMES = ("report.json", "report.md")


def test_a_folder_of_ours_stays_until_it_is_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "out" / ".state"
    with work_folder(folder) as state:
        (state / "part").write_text("1")
    with work_folder(folder):
        assert (folder / "part").read_text() == "1"
    forget(folder)
    assert not folder.exists()


def test_what_somebody_else_made_is_not_touched(tmp_path: Path) -> None:
    theirs, link = tmp_path / ".state", tmp_path / "link"
    theirs.mkdir()
    (theirs / "notes").write_text("mine")
    link.symlink_to(theirs)
    for folder in (theirs, link):
        with pytest.raises(UsageError, match="did not make it"), work_folder(folder):
            pass
        forget(folder)
    assert (theirs / "notes").read_text() == "mine"
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(UsageError, match="did not make it"), work_folder(file):
        pass


def test_two_processes_do_not_share_one(tmp_path: Path) -> None:
    folder = tmp_path / ".state"
    code = (
        "import sys, pathlib; from bertcompress.ownership import work_folder\n"
        "with work_folder(pathlib.Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        assert is_busy(folder)
        with pytest.raises(UsageError, match="another process is at work"), work_folder(folder):
            pass
        other.kill()
    assert not is_busy(folder)
    with work_folder(folder):  # what a killed process left is taken over
        assert (folder / MARK).is_file()


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path, ended_process: int) -> None:
    place = tmp_path / "out"
    gone, here = f"{ended_process}-0011aabb", beside(place, "new").name
    for name in (f".out.new.{gone}", here, ".out.new.mine", ".out.state", f".outer.new.{gone}"):
        (tmp_path / name).mkdir()
    (tmp_path / f".out.old.{gone}").mkdir()
    (tmp_path / f".out.old.{gone}" / "kept").touch()

    clear_leftovers(place)

    assert (place / "kept").is_file()  # it was moved away, and nothing had come in its place
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"out", here, ".out.new.mine", ".out.state", f".outer.new.{gone}"}


def test_a_set_is_replaced_only_whole(tmp_path: Path) -> None:
    check_files(tmp_path / "new", NAMES)
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(UsageError, match=r"report\.md is there"):
        check_files(tmp_path, NAMES)
    (tmp_path / "report.json").write_text("{}")
    check_files(tmp_path, NAMES)


def test_places_that_cant_be_meant(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for target in (tmp_path / "file", tmp_path / "file" / "out" / "more"):
        with pytest.raises(UsageError, match="file is a file"):
            check_place(target)
    with pytest.raises(UsageError, match="begins with ~"):
        check_place(Path("~/out"))
