"""What in the user's folders is ours: only that is ever removed or replaced.

Folders for unfinished work carry a mark, a file that this library wrote when it made them, and a
lock on it while a process works there. Files that are written as a set (a report's, a comparison's)
are replaced only where the whole set is there already: one of them alone is somebody else's.
What is being written stands beside its place, under a name with the writing process's number: where
that process has ended, it was killed, and the next one that writes there clears it away.
"""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from bertcompress.errors import RunError, UsageError

try:
    import fcntl
except ImportError:  # Windows: two processes in one folder are not noticed there
    fcntl = None  # type: ignore[assignment]

MARK = ".bertcompress"
_BESIDE = re.compile(r"\.(?P<name>.+)\.(?P<what>new|old)\.(?P<process>\d+)-[0-9a-f]{8}")
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
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text(_TEXT, encoding="utf-8")
        lock = (folder / MARK).open("rb")
    except OSError as error:
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
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


def beside(place: Path, what: Literal["new", "old"]) -> Path:
    """Returns a name beside a place for what is written there, or was there until now."""
    return place.with_name(f".{place.name}.{what}.{os.getpid()}-{secrets.token_hex(4)}")


def clear_leftovers(place: Path) -> None:
    """Removes what killed processes left beside a place; puts back what one had moved away."""
    if not place.parent.is_dir():
        return
    for path in place.parent.glob(f".{glob.escape(place.name)}.*"):
        found = _BESIDE.fullmatch(path.name)
        if found is None or found["name"] != place.name or _runs(int(found["process"])):
            continue
        if found["what"] == "old" and not place.exists():
            path.rename(place)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


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
