"""Calibrators: what a quantize pass takes to get its ranges, measured now or read from a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.errors import CalibrationError
from bertcompress.examples import Example
from bertcompress.graph.fingerprint import weights_fingerprint
from bertcompress.passes.base import NOT_A_SETTING
from bertcompress.progress import Progress, silent
from bertcompress.tasks import make_task
from bertcompress_calibration.collect import calibrate, check_positive
from bertcompress_calibration.ranges import method_named
from bertcompress_calibration.training_data import check_training

if TYPE_CHECKING:
    from bertcompress.artifacts.artifact import OnnxModel


@dataclass(frozen=True)
class Calibrate:
    """Measures the ranges on examples; the fields are those of `calibrate`.

    Attributes:
        examples: What to draw from: training data, at least one example.
        method: A name in `METHODS`.
        samples: How many examples to run.
        batch_size: The most examples in one run.
        max_length: Where longer texts are cut, in tokens; None for the model's own limit.
        seed: Decides which examples are drawn.
        split: The split that the examples are of; None for what their ids say.
        threads: Threads of one run; None for all processors that this process may use.
        attention: Whether query, key and value are watched too, for TensorRT's quantized attention.
        progress: Is told how many inputs were run.
    """

    examples: tuple[Example, ...]
    method: str = "percentile"
    samples: int = 300
    batch_size: int = 8
    max_length: int | None = None
    seed: int = 0
    split: str | None = field(default=None, metadata=NOT_A_SETTING)
    threads: int | None = field(default=None, metadata=NOT_A_SETTING)
    attention: bool = False
    progress: Progress = field(default=silent, metadata=NOT_A_SETTING)

    def __post_init__(self) -> None:
        method_named(self.method)
        check_positive(
            samples=self.samples,
            batch_size=self.batch_size,
            max_length=self.max_length,
            threads=self.threads,
        )
        if not self.examples:
            raise CalibrationError(
                "calibration needs at least one example, got none; give it some hundred texts like "
                "those that the model will see"
            )
        check_training(self.examples, self.split)

    def __call__(self, model: OnnxModel) -> CalibrationTable:
        """Returns the table of a float graph; see `calibrate` for what can go wrong."""
        return calibrate(
            model,
            self.examples,
            task=make_task(model.task, model.config),
            method=self.method,
            samples=self.samples,
            batch_size=self.batch_size,
            max_length=self.max_length,
            seed=self.seed,
            split=self.split,
            threads=self.threads,
            attention=self.attention,
            progress=self.progress,
        )


@dataclass(frozen=True)
class SavedTable:
    """Reads the ranges from a file that `CalibrationTable.save` wrote.

    In an artifact's history it is known by its content, not by where it lay.

    Attributes:
        path: The file; has to be there when this is made.
        sha256: Of the file, as hexadecimal digits.
    """

    path: Path | str = field(metadata=NOT_A_SETTING)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        try:
            content = Path(self.path).read_bytes()
        except OSError as error:
            raise CalibrationError(
                f"can't read the calibration table {self.path}: {error.strerror or error}; name a "
                "file that a calibration wrote"
            ) from error
        object.__setattr__(self, "sha256", hashlib.sha256(content).hexdigest())

    def __call__(self, model: OnnxModel) -> CalibrationTable:
        """Returns the table.

        Raises:
            CalibrationError: It can't be read, or was made for other weights.
        """
        table = CalibrationTable.load(self.path)
        table.check_fits(weights_fingerprint(model.graph))
        return table
