"""The builder's timing cache in a file: what was timed once is not timed again.

It holds how long each kernel took for each layer, on one kind of GPU with one build of TensorRT;
TensorRT itself refuses it elsewhere.
"""

from __future__ import annotations

from pathlib import Path

from bertcompress.errors import BuildError
from bertcompress.files import write_whole


def read_cache(path: Path | None) -> bytes | None:
    """Returns a cache's content, empty if the file is not there yet; None for no cache.

    Raises:
        BuildError: If the file can't be read.
    """
    if path is None:
        return None
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise BuildError(f"can't read the timing cache {path}: {error.strerror}") from error


def write_cache(path: Path | None, content: bytes) -> None:
    """Writes a cache, whole or not at all; does nothing where there is none.

    Raises:
        BuildError: If it can't be written.
    """
    if path is None:
        return
    try:
        write_whole(path, content)
    except OSError as error:
        raise BuildError(f"could not write the timing cache {path}: {error.strerror}") from error
