"""Examples that fit the tiny models, and a calibration table for a tiny graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bertcompress.artifact import OnnxModel
from bertcompress.calibration_table import CalibrationTable, TensorRange
from bertcompress.examples import Answer, Example, QuestionExample, TextExample, TokenExample
from bertcompress.graph.fingerprint import weights_fingerprint
from bertcompress.graph.products import weight_products

TEXTS = ("the film is good", "a bad film", "not good", "the film is not bad", "who is in a film")


@pytest.fixture
def examples() -> Callable[..., tuple[Example, ...]]:
    """Gives ``examples(task=…, count=…)``, with answers."""

    def make(task: str = "text-classification", count: int = 20) -> tuple[Example, ...]:
        return tuple(_example(task, at) for at in range(count))

    return make


def _example(task: str, at: int) -> Example:
    text = TEXTS[at % len(TEXTS)] + " film" * (at % 3)
    if task == "token-classification":
        words = tuple(text.split())
        return TokenExample(str(at), words, tuple("B-PER" if w == "who" else "O" for w in words))
    if task == "question-answering":
        context = "anna lives in berlin"
        return QuestionExample(str(at), "who lives in berlin", context, (Answer("anna", 0),))
    if task == "feature-extraction":
        return TextExample(str(at), text)
    return TextExample(str(at), text, label="positive" if at % 2 else "negative")


@pytest.fixture
def wide_ranges() -> Callable[[OnnxModel], CalibrationTable]:
    """Gives a calibrator whose ranges hold everything a LayerNorm of the tiny model puts out."""

    def calibrate(model: OnnxModel) -> CalibrationTable:
        none = np.zeros(0, dtype=np.int64)
        ranges = {
            product.module: TensorRange(product.tensor, -4.0, 4.0, -4.0, 4.0, 1, none)
            for product in weight_products(model.graph)
        }
        return CalibrationTable(
            ranges=ranges,
            method="minmax",
            sample_ids=("0",),
            seed=0,
            data_fingerprint="0",
            weights_fingerprint=weights_fingerprint(model.graph),
        )

    return calibrate
