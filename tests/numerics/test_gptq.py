"""GPTQ: better than the nearest step where inputs are alike, the same where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcompress.numerics.blocks import BlockFormat, dequantized, minmax_grid, nearest
from bertcompress.numerics.gptq import damped, gptq, hessian_error, swept

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 150))


def problem(rows: int, columns: int, seed: int, *, rank: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Gives a weight and the covariance of inputs that share some directions."""
    generator = np.random.default_rng(seed)
    weight = generator.normal(size=(rows, columns)).astype(np.float32)
    shared = generator.normal(size=(rank, columns))
    x = generator.normal(size=(300, rank)) @ shared + 0.3 * generator.normal(size=(300, columns))
    return weight, x.T @ x / 300


def test_gptq_is_better_than_the_nearest_step_in_the_mean() -> None:
    ratios = []
    for seed in range(20):
        weight, hessian = problem(8, 64, seed)
        grid = minmax_grid(weight, BlockFormat(4, 32, symmetric=bool(seed % 2)))
        plain = hessian_error(weight - dequantized(nearest(weight, grid)), hessian)
        ratios.append(
            hessian_error(weight - dequantized(gptq(weight, grid, hessian)), hessian) / plain
        )
    assert max(ratios) < 1
    assert np.mean(ratios) < 0.4


@given(SHAPES, st.integers(0, 99), st.floats(0.1, 10))
def test_with_a_multiple_of_the_identity_it_is_the_nearest_step(
    shape: tuple[int, int], seed: int, scale: float
) -> None:
    weight = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    grid = minmax_grid(weight, BlockFormat(4, 16))
    found = gptq(weight, grid, scale * np.eye(shape[1]))
    np.testing.assert_array_equal(found.integers, nearest(weight, grid).integers)


@settings(max_examples=25)
@given(SHAPES, st.integers(0, 99), st.booleans())
def test_a_sweep_never_raises_the_error(shape: tuple[int, int], seed: int, symmetric: bool) -> None:
    weight, hessian = problem(*shape, seed)
    strong = damped(hessian)
    grid = minmax_grid(weight, BlockFormat(4, 16, symmetric))
    for start in (nearest(weight, grid), gptq(weight, grid, hessian)):
        before = hessian_error(weight - dequantized(start), strong)
        after = hessian_error(weight - dequantized(swept(weight, start, strong)), strong)
        assert after <= before * (1 + 1e-4) + 1e-9


def test_a_column_at_a_time_as_published() -> None:
    weight, hessian = problem(3, 20, 5)
    grid = minmax_grid(weight, BlockFormat(4, 16))

    found = dequantized(gptq(weight, grid, hessian))

    np.testing.assert_allclose(found, optimal_brain_quantization(weight, grid, hessian), atol=1e-5)


def optimal_brain_quantization(weight, grid, hessian) -> np.ndarray:
    """Rounds a column, solves for all that are left, and so on: no factor, no lazy updates."""
    strong = damped(hessian)
    left, became = weight.astype(np.float64), np.zeros(weight.shape)
    rest = list(np.argsort(-np.diagonal(strong), kind="stable"))
    while rest:
        column = rest[0]
        scale = grid.scales[:, column // 16]
        became[:, column] = np.clip(np.rint(left[:, column] / scale), -8, 7) * scale
        inverse = np.linalg.inv(strong[np.ix_(rest, rest)])
        error = (left[:, column] - became[:, column]) / inverse[0, 0]
        left[:, rest] -= np.outer(error, inverse[0])
        rest = rest[1:]
    return became


def test_silent_inputs_and_one_column() -> None:
    weight = np.float32([[0.5, -1.0, 0.25]])
    hessian = np.diag([1.0, 0.0, 2.0])
    grid = minmax_grid(weight, BlockFormat(4, 16))
    np.testing.assert_array_equal(
        gptq(weight, grid, hessian).integers, nearest(weight, grid).integers
    )
    single = minmax_grid(weight[:, :1], BlockFormat(4, 16))
    assert dequantized(gptq(weight[:, :1], single, np.zeros((1, 1)))).tolist() == [[0.5]]


def test_the_error_is_that_of_the_outputs() -> None:
    generator = np.random.default_rng(0)
    difference, x = generator.normal(size=(4, 6)), generator.normal(size=(50, 6))
    outputs = x @ difference.T
    expected = (outputs**2).sum(axis=1).mean()
    assert hessian_error(difference, x.T @ x / 50) == pytest.approx(expected)
