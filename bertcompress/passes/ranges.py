"""How a quantize pass gets its ranges: measured on drawn examples, or read from a saved table."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from pathlib import Path

from bertcompress.errors import CalibrationError, UsageError
from bertcompress.passes.settings import PATH, Need, check_optional_counts

TRAINED = "trained"
"""The method that takes the ranges that training left in the model."""


@dataclass(frozen=True)
class Ranges:
    """Settings of a calibration.

    Attributes:
        method: A name of `bertcompress_calibration.METHODS`, or ``trained`` where a pass takes the
            ranges that training left.
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
        check_optional_counts(
            samples=self.samples, batch_size=self.batch_size, max_length=self.max_length
        )
        if self.table is not None:
            self.refuse("a saved table", but="table")

    @property
    def needs(self) -> tuple[Need, ...]:
        """What of a context decides the ranges."""
        return () if self.table is not None else ("examples",)

    def check(self, *, has_examples: bool) -> None:
        """Refuses a run without what the ranges are found on.

        Raises:
            UsageError: If there are neither examples nor a table.
        """
        if self.needs and not has_examples:
            raise UsageError(
                "static ranges are found on data and none was given; add --data, or take "
                "--method dynamic, which needs none"
            )

    def refuse(self, beside: str, *, but: str = "") -> None:
        """Fails with a UsageError if a setting is given.

        Args:
            beside: What makes it useless, in words.
            but: The setting that may be given.
        """
        for setting in fields(self):
            if setting.name != but and getattr(self, setting.name) != setting.default:
                raise UsageError(f"{setting.name} is not used with {beside}; leave one of them out")

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
