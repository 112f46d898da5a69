"""Finished parts of a run, kept so that an interrupted run goes on where it stopped.

Each part is one JSON file, written whole or not at all, in a folder named after everything that
decides its content: settings, artifacts, data, machine and library versions. A run with anything
changed therefore finds nothing, and measures anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from bertcompress.bench.json_codec import Json
from bertcompress.errors import RunError


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

    def remove(self) -> None:
        """Forgets all parts; called when the run is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file whole or not at all.

    Raises:
        RunError: If it can't be written; nothing is left behind then.
    """
    staging = None
    try:
        handle, staging = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(staging).chmod(0o644)
        Path(staging).replace(path)
    except OSError as error:
        raise RunError(f"could not write {path}: {error.strerror or error}") from error
    finally:
        if staging is not None:
            Path(staging).unlink(missing_ok=True)
