"""Writes a file whole or not at all: beside its place, then renamed into it."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path


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
