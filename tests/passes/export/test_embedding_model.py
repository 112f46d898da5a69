"""The torch module of a whole embedding, against the NumPy one; the border tests export it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.errors import UsageError
from bertcompress.passes.export.embedding_model import embedding_model
from bertcompress.tasks.base import Feature
from bertcompress.tasks.pooling import POOLINGS
from bertcompress.tasks.sentence_embedding import SentenceEmbedding
from bertcompress.tasks.transformer_settings import TransformerSettings
from bertcompress.tasks.vector_steps import Dense, LayerNorm, Normalize, VectorStep

DRAWN = np.random.default_rng(3)
STEPS: tuple[VectorStep, ...] = (
    Dense(DRAWN.normal(size=(6, 32)), DRAWN.normal(size=6), "GELU", DRAWN.normal(size=(6, 32))),
    LayerNorm(DRAWN.normal(size=6), DRAWN.normal(size=6)),
    Normalize(),
    Dense(DRAWN.normal(size=(4, 6)), None, "Tanh"),
)
IDS = torch.tensor([[2, 60, 61, 62, 3], [2, 63, 3, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


@pytest.mark.parametrize("steps", [(), STEPS])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_changes_nothing(
    tiny_checkpoint: Callable[..., Checkpoint],
    pooling: str,
    normalize: bool,
    steps: tuple[VectorStep, ...],
) -> None:
    encoder = tiny_checkpoint(task="feature-extraction").model
    task = SentenceEmbedding(pooling, normalize, steps=steps)  # type: ignore[arg-type]  # a name

    with torch.inference_mode():
        vectors = embedding_model(encoder, task, lambda mask: mask)(
            input_ids=IDS, attention_mask=MASK
        )["sentence_embedding"].numpy()
        for row, length in enumerate((5, 3)):
            ids = IDS[row : row + 1, :length]
            states = encoder(ids)[0][0].numpy()
            feature = Feature(0, {"input_ids": ids[0].numpy()})
            [alone] = task.predict([{"last_hidden_state": states}], [feature], [None])  # type: ignore[list-item]  # not looked at

            assert vectors[row] == pytest.approx(np.asarray(alone.answer), abs=1e-5)


def test_a_prompt_that_is_left_out_is_refused(
    tiny_checkpoint: Callable[..., Checkpoint],
) -> None:
    task = SentenceEmbedding(include_prompt=False, texts=TransformerSettings(prompt="ask: "))

    with pytest.raises(UsageError, match="can't leave a prompt's tokens out"):
        embedding_model(tiny_checkpoint(task="feature-extraction").model, task, lambda mask: mask)
