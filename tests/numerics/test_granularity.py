"""Input shape -> scale shape."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from bertcompress.errors import UsageError
from bertcompress.numerics import granularity
from bertcompress.numerics.granularity import (
    PER_TENSOR,
    Granularity,
    PerAxis,
    broadcastable,
    scale_shape,
    shared_axes,
)


def test_examples_in_the_docstrings() -> None:
    outcome = doctest.testmod(granularity)

    assert (outcome.failed, outcome.attempted > 0) == (0, True)


@pytest.mark.parametrize(
    ("kind", "shape", "shared"),
    [
        (PER_TENSOR, (), (0, 1, 2)),
        (PerAxis(0), (2,), (1, 2)),
        (PerAxis(1), (3,), (0, 2)),
        (PerAxis(-1), (4,), (0, 1)),
    ],
)
def test_the_table_of_the_docstring(
    kind: Granularity, shape: tuple[int, ...], shared: tuple[int, ...]
) -> None:
    assert scale_shape((2, 3, 4), kind) == shape
    assert shared_axes(3, kind) == shared


def test_scales_broadcast_along_their_axis() -> None:
    scale = np.arange(3, dtype=np.float32)

    spread = np.broadcast_to(broadcastable(scale, (2, 3, 4), PerAxis(1)), (2, 3, 4))

    assert spread[1, :, 3].tolist() == [0.0, 1.0, 2.0]
    assert broadcastable(np.float32(2), (2, 3), PER_TENSOR).shape == ()


@pytest.mark.parametrize("axis", [3, -4])
def test_an_axis_that_is_not_there(axis: int) -> None:
    with pytest.raises(UsageError, match=f"from -3 to 2 for a tensor of 3 axes, got {axis}"):
        scale_shape((2, 3, 4), PerAxis(axis))


def test_scales_of_another_shape() -> None:
    with pytest.raises(UsageError, match=r"scale must have shape \[3\] .* got \[2\]"):
        broadcastable(np.ones(2, dtype=np.float32), (2, 3), PerAxis(1))
    with pytest.raises(UsageError, match=r"scale must have shape \[\] .* got \[1\]"):
        broadcastable(np.ones(1, dtype=np.float32), (2, 3), PER_TENSOR)
