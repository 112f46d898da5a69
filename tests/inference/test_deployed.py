"""An artifact's task and the length of its texts are what its files say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.errors import UsageError
from bertcompress.inference.deployed import length_for, task_for, text_length
from bertcompress.tasks import SentenceEmbedding, TextClassification
from bertcompress.tasks.transformer_settings import TransformerSettings


@dataclass(frozen=True)
class Limit:
    model_max_length: int


LABELS = TextClassification(("a", "b"))
VECTORS = SentenceEmbedding()
SHORT = SentenceEmbedding(texts=TransformerSettings(16))


@pytest.mark.parametrize(
    ("task", "told", "positions", "asked", "length"),
    [
        (LABELS, 10**30, 2048, None, 512),
        (LABELS, 10**30, 40, None, 40),
        (LABELS, 10**30, 2048, 1024, 1024),
        (VECTORS, 10**30, 2048, None, 2048),
        (VECTORS, 128, 2048, None, 128),
        (VECTORS, 4096, 2048, None, 2048),
        (SHORT, 128, 2048, None, 16),
        (SHORT, 8, 2048, None, 16),
        (SHORT, 128, 2048, 32, 32),
        (SHORT, 128, 8, None, 8),
    ],
)
def test_the_length_of_texts(
    task: SentenceEmbedding, told: int, positions: int, asked: int | None, length: int
) -> None:
    assert text_length(task, Limit(told), positions, asked) == length


def test_more_than_the_model_has_is_refused() -> None:
    with pytest.raises(UsageError, match="up to 40, which the model has positions for, got 41"):
        text_length(LABELS, Limit(512), 40, 41)


def test_an_artifact_knows_its_pooling(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    checkpoint = tiny_checkpoint(task="feature-extraction")

    assert task_for(checkpoint) == SentenceEmbedding(
        "mean", normalize=True, texts=TransformerSettings(128)
    )
    assert length_for(checkpoint) == 128
