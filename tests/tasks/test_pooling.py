"""Poolings, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bertcompress.tasks.pooling import Pooling, pool

STATES = np.asarray([[1.0, -4.0], [3.0, 0.0], [2.0, 6.0]])


@pytest.mark.parametrize(
    ("pooling", "skip", "vector"),
    [
        ("cls", 0, [1.0, -4.0]),
        ("cls", 1, [3.0, 0.0]),
        ("max", 0, [3.0, 6.0]),
        ("max", 2, [2.0, 6.0]),
        ("mean", 0, [2.0, 2 / 3]),
        ("mean", 1, [2.5, 3.0]),
        ("mean_sqrt_len_tokens", 0, [6 / 3**0.5, 2 / 3**0.5]),
        ("weightedmean", 0, [13 / 6, 14 / 6]),
        ("weightedmean", 1, [12 / 5, 18 / 5]),
        ("lasttoken", 0, [2.0, 6.0]),
        ("lasttoken", 1, [2.0, 6.0]),
    ],
)
def test_each_pooling(pooling: Pooling, skip: int, vector: list[float]) -> None:
    assert pool(STATES, (pooling,), skip=skip).tolist() == pytest.approx(vector)


def test_several_follow_each_other() -> None:
    assert pool(STATES, ("lasttoken", "cls")).tolist() == [2.0, 6.0, 1.0, -4.0]
