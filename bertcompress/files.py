"""Writes files whole or not at all: beside their place, then renamed into it."""

from __future__ import annotations

import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from bertcompress.errors import RunError


def write_whole(target: Path, content: bytes) -> None:
    """Writes a file, its folders too; whatever is there stays until the new one is complete.

    A file that was there keeps its mode, a new one gets the usual one.

    Raises:
        OSError: If it can't be written; nothing is left behind then.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with staging.open("xb") as file:
            file.write(content)
        if target.exists():
            staging.chmod(stat.S_IMODE(target.stat().st_mode))
        staging.replace(target)
    finally:
        staging.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file whole or not at all.

    Raises:
        RunError: If it can't be written; nothing is left behind then.
    """
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise RunError(f"could not write {path}: {error.strerror or error}") from error


def write_texts(folder: Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """Writes text files, each whole or not at all; returns their paths.

    Args:
        folder: Where to; made with its parents.
        texts: By the file's name.

    Raises:
        RunError: If the folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"can't write to {folder}: {error.strerror or error}") from error
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return tuple(folder / name for name in texts)
