"""Grids without data: never worse than the whole range in their own measure, better in the mean."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bertcompress.numerics import block_grids
from bertcompress.numerics.block_grids import hqq_grid, least_squares_grid, p_errors
from bertcompress.numerics.blocks import (
    BlockFormat,
    BlockGrid,
    dequantized,
    in_blocks,
    minmax_grid,
    nearest,
)

FORMATS = st.builds(BlockFormat, st.sampled_from((4, 8)), st.sampled_from((16, 32)), st.booleans())
WEIGHTS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40),
    elements=st.floats(-4, 4, width=32),
)


def squared(weight: np.ndarray, grid: BlockGrid, costs: np.ndarray | float = 1.0) -> np.ndarray:
    """Gives each block's error."""
    error = costs * (weight - dequantized(nearest(weight, grid))) ** 2
    return in_blocks(error.astype(np.float32), grid.format.block_size).sum(axis=2)


def p_norm(weight: np.ndarray, grid: BlockGrid) -> np.ndarray:
    size = grid.format.block_size
    return p_errors(in_blocks(weight, size), in_blocks(dequantized(nearest(weight, grid)), size))


def heavy_tailed(rows: int = 64, columns: int = 128) -> np.ndarray:
    return np.random.default_rng(1).standard_t(4, (rows, columns)).astype(np.float32)


@given(WEIGHTS, FORMATS)
def test_least_squares_is_never_worse_than_the_range(
    weight: np.ndarray, format_: BlockFormat
) -> None:
    before, after = minmax_grid(weight, format_), least_squares_grid(weight, format_)
    assert (squared(weight, after) <= squared(weight, before) * (1 + 1e-5) + 1e-9).all()


@given(WEIGHTS, FORMATS)
def test_hqq_is_never_worse_than_the_range_in_its_norm(
    weight: np.ndarray, format_: BlockFormat
) -> None:
    before, after = minmax_grid(weight, format_), hqq_grid(weight, format_)
    assert (p_norm(weight, after) <= p_norm(weight, before) * (1 + 1e-4) + 1e-6).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_objective_falls_from_round_to_round(
    symmetric: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight, format_ = heavy_tailed(), BlockFormat(4, 64, symmetric)
    found = []
    for rounds in range(6):
        monkeypatch.setattr(block_grids, "ROUNDS", rounds)
        found.append(
            (
                p_norm(weight, hqq_grid(weight, format_)),
                squared(weight, least_squares_grid(weight, format_)),
            )
        )
    for (p_before, s_before), (p_after, s_after) in itertools.pairwise(found):
        assert (p_after <= p_before * (1 + 1e-4)).all()
        assert (s_after <= s_before * (1 + 1e-5)).all()
    assert found[-1][0].sum() < found[0][0].sum()
    assert found[-1][1].sum() < found[0][1].sum()


@pytest.mark.parametrize("symmetric", [True, False])
def test_each_is_best_in_its_own_measure(symmetric: bool) -> None:
    weight, format_ = heavy_tailed(), BlockFormat(4, 64, symmetric)
    whole, least = minmax_grid(weight, format_), least_squares_grid(weight, format_)
    hqq = hqq_grid(weight, format_)
    assert squared(weight, least).sum() < 0.95 * squared(weight, whole).sum()
    assert p_norm(weight, hqq).sum() < 0.97 * p_norm(weight, whole).sum()
    assert squared(weight, least).sum() < squared(weight, hqq).sum()
    assert p_norm(weight, hqq).sum() < p_norm(weight, least).sum()


def test_least_squares_finds_nearly_the_best_symmetric_scale() -> None:
    weight, format_ = heavy_tailed(8, 32), BlockFormat(4, 32)
    extreme = np.abs(weight).max(axis=1)
    best = np.full((8, 1), np.inf)
    for factor in np.linspace(0.3, 1.1, 400):
        for sign in (-1, 1):
            scales = (sign * extreme * factor / 8).astype(np.float16).astype(np.float32)
            grid = BlockGrid(format_, scales[:, None], np.full((8, 1), 8, np.uint8))
            best = np.minimum(best, squared(weight, grid))
    found = squared(weight, least_squares_grid(weight, format_))
    assert found.sum() <= 1.1 * best.sum()


def test_costs_move_the_error_to_the_cheap_columns() -> None:
    weight = heavy_tailed()
    costs = np.where(np.arange(128) % 2, 100.0, 1.0)
    format_ = BlockFormat(4, 64)
    plain, priced = least_squares_grid(weight, format_), least_squares_grid(weight, format_, costs)
    assert squared(weight, priced, costs).sum() < squared(weight, plain, costs).sum()
    assert squared(weight, plain).sum() < squared(weight, priced).sum()


def test_long_weights_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, format_ = heavy_tailed(), BlockFormat(4, 32, symmetric=False)
    whole = least_squares_grid(weight, format_)
    monkeypatch.setattr(block_grids, "_ROWS", 7)
    parts = least_squares_grid(weight, format_)
    np.testing.assert_array_equal(whole.scales, parts.scales)
    np.testing.assert_array_equal(whole.zero_points, parts.zero_points)
