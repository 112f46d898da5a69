"""A tiny exported graph, and texts of several lengths."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.examples import TextExample
from bertcompress.passes.export.export_onnx import ExportOnnx

_WORDS = ["good", "bad", "film", "the", "a", "is", "not", "berlin", "anna", "lives", "in", "who"]


@pytest.fixture(scope="session")
def tiny_model(tiny_checkpoint: Callable[..., Checkpoint]) -> OnnxModel:
    """The tiny classifier as a float graph; nobody may change it."""
    return ExportOnnx()(tiny_checkpoint())


@pytest.fixture(scope="session")
def texts() -> tuple[TextExample, ...]:
    """Forty labelled texts of 1 to 20 words."""
    return tuple(
        TextExample(f"train.tsv:{at}", _text(at), label=("negative", "positive")[at % 2])
        for at in range(40)
    )


def _text(number: int) -> str:
    length, stride = number * 7 % 20 + 1, number % 7 + 1
    return " ".join(_WORDS[(number * 5 + place * stride) % 12] for place in range(length))
