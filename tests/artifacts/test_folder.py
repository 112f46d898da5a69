"""A folder comes to be whole or not at all."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from bertcompress.artifacts.folder import MANIFEST_NAME, check_writable, new_folder
from bertcompress.errors import PassError, UsageError


def artifact_at(target: Path, content: str = "old") -> Path:
    target.mkdir(parents=True)
    (target / MANIFEST_NAME).write_text(content)
    return target


def write(target: Path, content: str = "new", *, overwrite: bool = False) -> None:
    with new_folder(target, overwrite=overwrite) as staging:
        (staging / MANIFEST_NAME).write_text(content)


def fail_at(target: Path, error: BaseException) -> None:
    with new_folder(target, overwrite=True) as staging:
        (staging / "file").write_text("half")
        raise error


def left_in(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.iterdir())


def test_it_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "out"

    with new_folder(target) as staging:
        (staging / "file").write_text("content")
        assert not target.exists()

    assert (target / "file").read_text() == "content"
    assert left_in(target.parent) == ["out"]


def test_others_may_read_it_as_the_umask_says(tmp_path: Path) -> None:
    write(tmp_path / "out")
    (tmp_path / "plain").mkdir()

    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("out", "plain")}
    assert len(modes) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [False, True])
def test_whatever_ends_the_block_early_leaves_all_as_it_was(
    error: type[BaseException], before: bool, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    if before:
        artifact_at(target)

    with pytest.raises(error):
        fail_at(target, error())

    assert left_in(tmp_path) == (["out"] if before else [])
    assert not before or (target / MANIFEST_NAME).read_text() == "old"


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "out"

    with pytest.raises(PassError) as caught:
        fail_at(target, OSError(errno.ENOSPC, "No space left on device"))

    assert str(caught.value) == (
        f"could not write {target}: No space left on device; nothing was kept"
    )
    assert left_in(tmp_path) == []


def test_a_parent_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match=f"{tmp_path}/file is a file; give a folder"):
        write(tmp_path / "file" / "out")


def test_an_artifact_is_replaced_only_if_asked(tmp_path: Path) -> None:
    target = artifact_at(tmp_path / "out")
    (target / "stale").write_text("")

    with pytest.raises(UsageError, match="is there already; add --overwrite or give another"):
        write(target)
    assert (target / "stale").exists()

    write(target, overwrite=True)
    assert left_in(target) == [MANIFEST_NAME]
    assert (target / MANIFEST_NAME).read_text() == "new"
    assert left_in(tmp_path) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_folder_is_never_replaced(overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(UsageError, match="holds files that bertcompress did not write"):
        write(tmp_path, overwrite=overwrite)

    assert left_in(tmp_path) == ["thesis.txt"]


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")

    with pytest.raises(UsageError, match="is a file; give a folder with -o"):
        write(tmp_path / "out", overwrite=True)


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    write(tmp_path / "out")

    assert left_in(tmp_path / "out") == [MANIFEST_NAME]
    assert left_in(tmp_path) == ["out"]


def test_a_folder_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"

    def meanwhile() -> None:
        with new_folder(target, overwrite=True):
            target.mkdir()
            (target / "thesis.txt").write_text("years of work")

    with pytest.raises(UsageError, match="did not write"):
        meanwhile()

    assert (target / "thesis.txt").read_text() == "years of work"
    assert left_in(tmp_path) == ["out"]


def test_a_link_stays_and_its_folder_is_replaced(tmp_path: Path) -> None:
    artifact_at(tmp_path / "disk" / "v1")
    (tmp_path / "latest").symlink_to(tmp_path / "disk" / "v1")

    write(tmp_path / "latest", overwrite=True)

    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "disk" / "v1" / MANIFEST_NAME).read_text() == "new"
    assert left_in(tmp_path / "disk") == ["v1"]


def test_the_current_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    write(Path())

    assert (tmp_path / "here" / MANIFEST_NAME).read_text() == "new"
    assert left_in(tmp_path) == ["here"]


class _Renames:
    """Stands for `Path.rename` and fails at the calls named, the first being 0."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *failing: int, error: BaseException
    ) -> None:
        self.calls = 0
        rename = Path.rename

        def renamed(source: Path, target: Path) -> Path:
            self.calls += 1
            if self.calls - 1 in failing:
                raise error
            return rename(source, target)

        monkeypatch.setattr(Path, "rename", renamed)


@pytest.mark.parametrize("call", [0, 1])
@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (OSError(errno.EIO, "Input/output error"), PassError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_swap_that_fails_puts_the_old_one_back(
    call: int,
    error: BaseException,
    seen: type[BaseException],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = artifact_at(tmp_path / "out")
    _Renames(monkeypatch, call, error=error)

    with pytest.raises(seen):
        write(target, overwrite=True)

    assert (target / MANIFEST_NAME).read_text() == "old"
    assert left_in(tmp_path) == ["out"]


def test_an_old_one_that_can_not_be_put_back_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = artifact_at(tmp_path / "out")
    _Renames(monkeypatch, 1, 2, error=OSError(errno.EIO, "Input/output error"))

    with pytest.raises(PassError, match="the one that was there is kept as ") as caught:
        write(target, overwrite=True)

    (kept,) = left_in(tmp_path)
    assert kept.startswith(".out.old.")
    assert str(tmp_path / kept) in str(caught.value)
    assert (tmp_path / kept / MANIFEST_NAME).read_text() == "old"


def test_what_may_be_written_is_known_beforehand(tmp_path: Path) -> None:
    check_writable(tmp_path / "new", overwrite=False)
    check_writable(artifact_at(tmp_path / "old"), overwrite=True)
    with pytest.raises(UsageError):
        check_writable(tmp_path / "old", overwrite=False)
