"""What in the user's folders is ours: only that is ever removed or replaced.

Folders for unfinished work carry a mark, a file that this library wrote when it made them, and a
lock on it while a process works there. Files that are written as a set (a report's, a comparison's)
are replaced only where the whole set is there already: one of them alone is somebody else's.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from bertcompress.errors import RunError, UsageError

try:
    import fcntl
except ImportError:  # Windows: two processes in one folder are not noticed there
    fcntl = None  # type: ignore[assignment]

MARK = ".bertcompress"
_TEXT = "bertcompress keeps unfinished work in this folder and removes it once it is done.\n"


@contextmanager
def work_folder(folder: Path) -> Iterator[Path]:
    """Gives a folder for unfinished work; it stays, for the next run, until it is forgotten.

    Raises:
        UsageError: It is somebody else's, or another process is at work there.
        RunError: It can't be made.
    """
    if (folder.exists() or folder.is_symlink()) and not _is_ours(folder):
        raise UsageError(
            f"{folder} is needed for unfinished work, and bertcompress did not make it; move it, "
            "or give another folder with -o"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text(_TEXT, encoding="utf-8")
        lock = (folder / MARK).open("rb")
    except OSError as error:
        raise RunError(f"can't write to {folder}: {error.strerror or error}") from error
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UsageError(
                    f"another process is at work in {folder}; wait until it has ended, or give "
                    "another folder with -o"
                ) from error
        yield folder


def is_busy(folder: Path) -> bool:
    """Tells whether a process is at work in such a folder."""
    if fcntl is None or not _is_ours(folder) or not (folder / MARK).is_file():
        return False
    with (folder / MARK).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def forget(folder: Path) -> None:
    """Removes such a folder; one that is not ours stays."""
    if _is_ours(folder):
        shutil.rmtree(folder, ignore_errors=True)


def check_files(folder: Path, names: Collection[str]) -> None:
    """Fails where a set of files would replace one that is not of such a set.

    Raises:
        UsageError: With the file's name.
    """
    check_place(folder)
    there = [name for name in names if (folder / name).exists()]
    if there and len(there) < len(names):
        raise UsageError(
            f"{folder / there[0]} is there, and bertcompress may not have written it; move it, or "
            "give another folder with -o"
        )


def check_place(target: Path) -> None:
    """Fails where a folder can't be meant, before any work.

    Raises:
        UsageError: It begins with a tilde that no shell has replaced, or lies inside a file.
    """
    if target.parts and target.parts[0].startswith("~"):
        raise UsageError(f"{target} begins with ~, which the shell did not replace; write it out")
    for parent in (target, *target.parents):
        if parent.exists() and not parent.is_dir():
            raise UsageError(f"{parent} is a file; give a folder with -o")


def _is_ours(folder: Path) -> bool:
    """Tells whether a folder has the mark, or nothing at all."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return (folder / MARK).is_file() or not any(folder.iterdir())
