"""How a quantize pass gets its ranges: measured on drawn examples, or read from a saved table."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from bertcompress.errors import CalibrationError
from bertcompress.passes.base import PATH, check_counts


@dataclass(frozen=True)
class Ranges:
    """Settings of a calibration.

    Attributes:
        method: A name of `bertcompress_calibration.METHODS`.
        samples: How many examples are run.
        batch_size: The most examples in one run.
        max_length: Where longer texts are cut, in tokens; None for the model's own limit.
        table: A file that a calibration wrote, taken in place of all that; in an artifact's history
            it is known by its content, not by where it lay.
    """

    method: str = "percentile"
    samples: int = 300
    batch_size: int = 8
    max_length: int | None = None
    table: str | None = field(default=None, metadata=PATH)

    def __post_init__(self) -> None:
        check_counts(samples=self.samples, batch_size=self.batch_size)
        if self.max_length is not None:
            check_counts(max_length=self.max_length)

    def identity(self) -> dict[str, str]:
        """Returns what a step with these ranges is known by beside them: the table's SHA-256.

        Raises:
            CalibrationError: If the table can't be read.
        """
        if self.table is None:
            return {}
        try:
            content = Path(self.table).read_bytes()
        except OSError as error:
            raise CalibrationError(
                f"can't read the calibration table {self.table}: {error.strerror or error}; name a "
                "file that a calibration wrote"
            ) from error
        return {"table": hashlib.sha256(content).hexdigest()}
