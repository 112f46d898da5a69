"""AWQ: never worse than no scaling, and loud channels get fine steps."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bertcompress.numerics.awq import awq, channel_scales
from bertcompress.numerics.block_grids import least_squares_grid
from bertcompress.numerics.blocks import BlockFormat, dequantized, nearest
from bertcompress.numerics.gptq import hessian_error

FORMAT = BlockFormat(4, 32)


def problem(seed: int, *, columns: int = 64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gives a weight, and magnitudes and second moments of inputs of which a few are loud."""
    generator = np.random.default_rng(seed)
    weight = generator.normal(size=(16, columns)).astype(np.float32)
    loudness = np.exp(generator.normal(size=columns))
    x = generator.normal(size=(200, columns)) * loudness
    hessian = x.T @ x / 200
    return weight, np.sqrt(np.diagonal(hessian)), hessian


@settings(max_examples=15)
@given(st.integers(0, 999), st.sampled_from((1, 17, 64)))
def test_it_is_never_worse_than_unscaled(seed: int, columns: int) -> None:
    weight, magnitude, hessian = problem(seed, columns=columns)
    rounded, scales = awq(weight, FORMAT, magnitude, hessian)

    plain = nearest(weight, least_squares_grid(weight, FORMAT, np.diagonal(hessian)))
    before = hessian_error(weight - dequantized(plain), hessian)
    after = hessian_error(weight - dequantized(rounded) / scales, hessian)
    assert after <= before * (1 + 1e-6)


def test_it_is_better_where_some_channels_are_loud() -> None:
    ratios = []
    for seed in range(10):
        weight, magnitude, hessian = problem(seed)
        rounded, scales = awq(weight, FORMAT, magnitude, hessian)
        plain = dequantized(nearest(weight, least_squares_grid(weight, FORMAT)))
        after = hessian_error(weight - dequantized(rounded) / scales, hessian)
        ratios.append(after / hessian_error(weight - plain, hessian))
    assert np.mean(ratios) < 0.8


@given(st.integers(0, 99), st.floats(0, 1))
def test_scales_have_a_geometric_mean_of_one(seed: int, alpha: float) -> None:
    magnitude = np.exp(np.random.default_rng(seed).normal(size=20) * 0.5)
    scales = channel_scales(magnitude, alpha)
    assert abs(np.log(scales).mean()) < 1e-5
    assert (np.argsort(scales) == np.argsort(magnitude)).all() or alpha < 1e-3


def test_silent_channels_are_left_alone() -> None:
    assert channel_scales(np.array([0.0, 4.0, 1.0]), 1.0).tolist() == [1.0, 2.0, 0.5]
    assert channel_scales(np.zeros(3), 0.5).tolist() == [1.0, 1.0, 1.0]
