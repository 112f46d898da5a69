"""Writes files whole or not at all, beside their place, then renamed into it; and their JSON."""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from bertcompress.errors import RunError
from bertcompress.ownership import beside, check_files, clear_leftovers


def write_whole(target: Path, content: bytes) -> None:
    """Writes a file, its folders too; whatever is there stays until the new one is complete.

    A file that was there keeps its mode, a new one gets the usual one.

    Raises:
        OSError: If it can't be written; nothing is left behind then.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(target)
    staging = beside(target, "new")
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
        UsageError: If that would replace a file that is not of such a set.
        RunError: If the folder can't be written.
    """
    check_files(folder, texts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"can't write to {folder}: {error.strerror or error}") from error
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return tuple(folder / name for name in texts)


def json_text(
    value: object, *, indent: int | None = None, default: Callable[[object], object] | None = None
) -> str:
    """Returns a value as JSON, on one line without `indent`; a number that is not finite is null.

    JSON has no NaN and no infinity: readers in other languages refuse a file with the words that
    Python writes for them. All JSON that other programs read is made here.

    Args:
        value: Mappings, sequences, texts, numbers.
        indent: Spaces of a level.
        default: Makes what JSON has no form for into what it has.
    """
    plain = _without_not_a_number(value)
    return json.dumps(plain, indent=indent, ensure_ascii=False, allow_nan=False, default=default)


def _without_not_a_number(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_not_a_number(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_not_a_number(item) for item in value]
    return value
