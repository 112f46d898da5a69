"""Makes a folder whole or not at all: it is built beside its place and then renamed into it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bertcompress.errors import PassError, UsageError
from bertcompress.ownership import beside, check_place, clear_leftovers

MANIFEST_NAME = "bertcompress.json"
"""The file by which an artifact folder is known as ours."""


@contextmanager
def new_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Gives a temporary folder beside `target` that takes its place when the block succeeds.

    Whatever ends the block early, an error or an interrupt, leaves `target` as it was.

    Args:
        target: The folder to make. Its parents are made if needed. Where it is a symbolic link,
            the link stays and the folder it names is replaced.
        overwrite: Whether an artifact folder already there may be replaced.

    Raises:
        UsageError: If `target` is there and is not ours to replace.
        PassError: If the disk is full or the folder can't be written.
    """
    check_writable(target, overwrite=overwrite)
    place = target.resolve()
    staging = beside(place, "new")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        yield staging
        check_writable(target, overwrite=overwrite)  # the block may have taken minutes
        _replace_folder(staging, place)
    except OSError as error:
        raise PassError(
            f"could not write {target}: {error.strerror or error}; nothing was kept"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_writable(target: Path, *, overwrite: bool) -> None:
    """Fails unless `target` can be made or is an artifact that may be replaced."""
    check_place(target)
    clear_leftovers(target.resolve())
    if not target.exists():
        return
    if not any(target.iterdir()):
        return
    if not (target / MANIFEST_NAME).is_file():
        raise UsageError(
            f"{target} holds files that bertcompress did not write; give another folder with -o"
        )
    if not overwrite:
        raise UsageError(f"{target} is there already; add --overwrite or give another folder")


def _replace_folder(staging: Path, place: Path) -> None:
    """Renames `staging` to `place`; what was there is put back if that fails."""
    if not place.exists():
        staging.rename(place)
        return
    aside = beside(place, "old")
    try:
        place.rename(aside)
        staging.rename(place)
    except BaseException:
        if aside.exists() and not place.exists():
            _put_back(aside, place)
        raise
    finally:
        if place.exists():  # else the old one is all there is
            shutil.rmtree(aside, ignore_errors=True)


def _put_back(aside: Path, place: Path) -> None:
    try:
        aside.rename(place)
    except OSError as error:
        raise PassError(
            f"could not write {place}: {error.strerror or error}; "
            f"the one that was there is kept as {aside}"
        ) from error
