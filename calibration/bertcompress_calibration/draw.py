"""Drawn inputs: what a quantizer with a calibration of its own is given instead of ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertcompress.bert.families import cut_length
from bertcompress.errors import CalibrationError
from bertcompress.examples import Example
from bertcompress.tasks import make_task
from bertcompress_calibration.collect import check_positive
from bertcompress_calibration.sampling import draw_samples

if TYPE_CHECKING:
    from bertcompress.artifacts.artifact import OnnxModel
    from bertcompress.tasks import Feature


@dataclass(frozen=True)
class DrawFeatures:
    """Draws and tokenizes examples as `calibrate` does, for a pass that runs them itself.

    Attributes:
        examples: What to draw from: training data, at least one example.
        samples: How many examples to draw; all, if there are no more.
        max_length: Where longer texts are cut, in tokens; None for the model's own limit, 512 at
            most.
        seed: Decides which examples are drawn.
    """

    examples: tuple[Example, ...]
    samples: int = 300
    max_length: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(samples=self.samples, max_length=self.max_length)
        if not self.examples:
            raise CalibrationError(
                "calibration needs at least one example, got none; give it some hundred texts like "
                "those that the model will see"
            )

    def __call__(self, model: OnnxModel) -> tuple[Feature, ...]:
        """Returns one feature or more for each example drawn, not padded.

        Raises:
            UsageError: `max_length` is more than the model has positions for.
            DataError: The examples do not fit the task.
        """
        length = cut_length(model.config, self.max_length)
        task = make_task(model.task, model.config)
        drawn = draw_samples(self.examples, self.samples, seed=self.seed)
        return tuple(task.encode(model.tokenizer, drawn, max_length=length))
