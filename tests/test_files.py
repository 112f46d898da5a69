"""A file is written whole or not at all, with the mode that it should have."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bertcompress.files import write_whole


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_the_usual_mode_and_its_folders(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a" / "b" / "file", b"new")
    finally:
        os.umask(before)

    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"new"
    assert mode_of(tmp_path / "a" / "b" / "file") == 0o640
    assert [one.name for one in (tmp_path / "a" / "b").iterdir()] == ["file"]


def test_one_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o600)

    write_whole(path, b"new")

    assert (path.read_bytes(), mode_of(path)) == (b"new", 0o600)


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(self: Path, target: Path) -> Path:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        write_whole(path, b"new")

    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"
