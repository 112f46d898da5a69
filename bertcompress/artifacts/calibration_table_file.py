"""The calibration table's file: one safetensors file with a JSON header in its metadata.

Nothing in it is ever executed, any safetensors reader opens it, and it appears whole or not at all.
What the header and the arrays mean is the business of `bertcompress.artifacts.calibration_table`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError
from bertcompress.files import write_whole
from bertcompress.reading import json_value

FORMAT_VERSION = 2
HEADER_KEY = "calibration_table"
AGAIN = "calibrate again"
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError)
"""What reading a header of another shape than ours raises."""

Arrays = Mapping[str, NDArray[np.int64] | NDArray[np.float32]]


class TableFile(Protocol):
    """An open file that a table is read from; its library has no types."""

    def keys(self) -> list[str]:
        """Returns the names of its arrays."""
        ...

    def metadata(self) -> Mapping[str, str] | None:
        """Returns its header."""
        ...

    def get_tensor(self, name: str) -> NDArray[Any]:
        """Returns one of its arrays."""
        ...


def write_table(path: Path, facts: Mapping[str, object], arrays: Arrays) -> None:
    """Writes header and arrays into one file, whole or not at all; replaces a file that is there.

    Raises:
        CalibrationError: It can't be written.
    """
    from safetensors.numpy import save

    header = json.dumps({"format": FORMAT_VERSION, **facts}, ensure_ascii=False, allow_nan=False)
    content = save(dict(arrays), metadata={HEADER_KEY: header})
    try:
        write_whole(path, content)
    except OSError as error:
        raise CalibrationError(
            f"can't write the calibration table {path}: {error.strerror or error}; "
            "name a file in a folder that you may write to"
        ) from error


@contextmanager
def open_table(path: Path) -> Iterator[tuple[Mapping[str, Any], TableFile]]:
    """Gives the header and the open file; what the block finds malformed becomes one error.

    Raises:
        CalibrationError: It is not there, is no calibration table, is damaged, or was written by a
            newer version.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CalibrationError(f"there is no calibration table {path}; name the file")
    try:
        with safe_open(path, framework="numpy") as opened:
            file = cast("TableFile", opened)
            yield _header_of(file, path), file
    except (SafetensorError, OSError, *_MALFORMED) as error:
        raise CalibrationError(
            f"{path} is damaged or not a calibration table ({error}); {AGAIN}"
        ) from error


def _header_of(file: TableFile, path: Path) -> Mapping[str, Any]:
    text = (file.metadata() or {}).get(HEADER_KEY)
    if text is None:
        raise CalibrationError(
            f"{path} is a safetensors file but not a calibration table; name the file that a "
            "calibration wrote"
        )
    facts: Mapping[str, Any] = cast("Mapping[str, Any]", json_value(text))
    if facts["format"] > FORMAT_VERSION:
        raise CalibrationError(
            f"{path} has format {facts['format']}, this bertcompress reads up to "
            f"{FORMAT_VERSION}; type: pip install --upgrade bertcompress"
        )
    return facts
