"""Pooling in torch with padding gives what the task's own gives of each text without."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bertcompress.bert.pooling import pooling_module
from bertcompress.tasks.pooling import POOLINGS, Pooling, pool
from bertcompress.tasks.sentence_embedding import SentenceEmbedding


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_padded_batch_gives_the_vectors_of_its_texts(pooling: Pooling) -> None:
    states = np.random.default_rng(0).normal(size=(2, 5, 4))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])

    found = pooling_module(SentenceEmbedding(pooling))(torch.from_numpy(states), mask)

    for row, length in enumerate((5, 3)):
        expected = pool(states[row, :length], (pooling,))
        np.testing.assert_allclose(found[row].numpy(), expected, atol=1e-9)
