"""Finished parts of a run, kept so that an interrupted run goes on where it stopped.

Each part is one JSON file, written whole or not at all, in a folder named after everything that
decides its content: settings, artifacts, data, machine and library versions. A run with anything
changed therefore finds nothing, and measures anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bertcompress.codec import Json, from_plain, to_plain
from bertcompress.errors import RunError
from bertcompress.files import write_atomically
from bertcompress.progress import Progress

T = TypeVar("T")


class StateFolder:
    """The finished parts of one run.

    Args:
        root: A folder that may hold several runs' parts.
        key: Everything that the parts depend on.
    """

    def __init__(self, root: Path, key: Json) -> None:
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.folder = root / digest[:16]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"can't write to {root}: {error.strerror or error}") from error

    def read(self, name: str) -> Json:
        """Returns a finished part, or None."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            return None
        part: Json = json.loads(path.read_text(encoding="utf-8"))
        return part

    def write(self, name: str, part: Json) -> None:
        """Keeps a part.

        Raises:
            RunError: If the disk is full or the folder can't be written.
        """
        write_atomically(self.folder / f"{name}.json", json.dumps(part))

    def kept(self, name: str, kind: type[T], measure: Callable[[], T]) -> T:
        """Returns a part, measured and kept if it is not there.

        Raises:
            RunError: If the disk is full or the folder can't be written.
        """
        plain = self.read(name)
        if plain is not None:
            return from_plain(kind, plain)
        part = measure()
        self.write(name, to_plain(part))
        return part

    def remove(self) -> None:
        """Forgets all parts; called when the run is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Workplace:
    """Where a run works: its folders, its threads, and its progress callback."""

    scratch: Path
    state: StateFolder
    threads: int
    progress: Progress
