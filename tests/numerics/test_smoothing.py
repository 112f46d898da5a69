"""SmoothQuant's scales: bounds, the formula by hand, the noise expected beside that measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bertcompress.numerics.affine import (
    choose_asymmetric_u8,
    choose_symmetric_s8,
    dequantize,
    quantize_s8,
    quantize_u8,
)
from bertcompress.numerics.granularity import PerAxis
from bertcompress.numerics.smoothing import (
    ALPHAS,
    best_scales,
    rounding_noise,
    smoothing_scales,
)

WEIGHTS = arrays.arrays(
    np.float32, (6, 4), elements=st.floats(-2, 2, width=32).map(lambda x: round(x, 3))
)
SIZES = arrays.arrays(np.float32, (6,), elements=st.floats(0, 50, width=32))


def activations(rng: np.random.Generator, sizes: np.ndarray, tokens: int = 4000) -> np.ndarray:
    return (rng.uniform(-1, 1, (tokens, len(sizes))) * sizes).astype(np.float32)


def measured_noise(x: np.ndarray, weight: np.ndarray) -> float:
    """Rounds both operands as the static pass does."""
    scale, zero_point = choose_asymmetric_u8(float(x.min()), float(x.max()))
    rounded = dequantize(quantize_u8(x, scale, zero_point), scale, zero_point)
    scales = choose_symmetric_s8(weight, PerAxis(1))
    stored = quantize_s8(weight, scales, PerAxis(1)).astype(np.float32) * scales
    error = rounded.astype(np.float64) @ stored - x.astype(np.float64) @ weight
    return float((error**2).sum(axis=1).mean())


@given(SIZES, WEIGHTS, st.floats(0, 1))
def test_scales_are_bounded_and_centred(
    sizes: np.ndarray, weight: np.ndarray, alpha: float
) -> None:
    scales = smoothing_scales(sizes, weight, alpha)

    assert scales.dtype == np.float32
    assert np.all((scales >= 0.01 * 0.999) & (scales <= 100 * 1.001))
    if np.all((scales > 0.011) & (scales < 99)):
        assert np.log(scales).mean() == pytest.approx(0, abs=1e-4)


@given(SIZES, WEIGHTS)
def test_nothing_is_ever_expected_to_get_worse(sizes: np.ndarray, weight: np.ndarray) -> None:
    largest = float(sizes.max())

    alpha, scales, ratio = best_scales(-largest, largest, sizes, weight, float((sizes**2).mean()))

    assert 0 <= ratio <= 1
    assert (alpha is None) == bool(np.all(scales == 1))
    assert alpha is None or alpha in ALPHAS


def test_the_formula_by_hand() -> None:
    scales = smoothing_scales(np.float32([4, 1]), np.float32([[1, -1], [0.5, 0.25]]), alpha=0.5)

    # sqrt(4 / 1) = 2 and sqrt(1 / 0.5) = 1.414; their geometric mean is 1.682
    np.testing.assert_allclose(scales, [2 / 2**0.75, 2**0.5 / 2**0.75], rtol=1e-6)


def test_the_expected_noise_is_the_measured_one() -> None:
    rng = np.random.default_rng(0)
    sizes = np.float32([1, 2, 3, 8, 1, 1, 2, 4])
    x, weight = activations(rng, sizes), rng.normal(size=(8, 16)).astype(np.float32)

    expected = rounding_noise(
        float(x.min()), float(x.max()), np.abs(x).max(axis=0), (x**2).mean(axis=0), weight
    )

    assert measured_noise(x, weight) == pytest.approx(expected, rel=0.15)


def test_a_large_channel_is_smoothed_and_the_noise_falls_as_expected() -> None:
    rng = np.random.default_rng(1)
    sizes = np.ones(64, dtype=np.float32)
    sizes[5] = 60
    x, weight = activations(rng, sizes), rng.normal(size=(64, 32)).astype(np.float32)

    alpha, scales, ratio = best_scales(
        float(x.min()), float(x.max()), np.abs(x).max(axis=0), weight, float((x**2).mean())
    )

    assert alpha is not None
    assert scales[5] > 3 * np.delete(scales, 5).max()
    found = measured_noise(x / scales, weight * scales[:, None]) / measured_noise(x, weight)
    assert found < 0.2
    assert found == pytest.approx(ratio, rel=0.35)


def test_a_silent_activation_stays_as_it_is() -> None:
    alpha, scales, ratio = best_scales(
        0, 0, np.zeros(3, np.float32), np.zeros((3, 2), np.float32), 0
    )

    assert (alpha, ratio) == (None, 1.0)
    assert scales.tolist() == [1, 1, 1]
