"""The least squared error against searching every pair of borders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bertcompress_calibration.range_methods import METHODS
from bertcompress_calibration.squared_error import (
    COARSE,
    middles,
    mse_range,
    squared_error,
)
from bertcompress_calibration.statistics import Statistics, statistics_of

ORDINARY = st.floats(-100, 100, width=32)
MATRICES = arrays(np.float32, st.tuples(st.integers(1, 20), st.just(3)), elements=ORDINARY)
SEEDS = st.integers(0, 2**32 - 1)


def error_by_hand(seen: Statistics, low: float, high: float) -> float:
    """Quantizes the middle of each bin to 256 steps, in float64 and one by one."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    zero_point = round(-low / scale)
    total = 0.0
    for at, count in enumerate(seen.histogram):
        middle = (seen.first_bin + at + 0.5) * seen.bin_width
        value = min(max(middle, seen.minimum), seen.maximum)
        step = min(max(round(value / scale) + zero_point, 0), 255)
        total += int(count) * (value - (step - zero_point) * scale) ** 2
    return total


def heavy_tailed(seed: int, degrees: float) -> Statistics:
    generator = np.random.default_rng(seed)
    values = generator.standard_t(degrees, size=(64, 32)) + generator.normal()
    return statistics_of(values.astype(np.float32))


@given(SEEDS, st.floats(0.1, 1), st.floats(0.1, 1))
def test_the_error_is_that_of_quantizing_each_value(seed: int, low: float, high: float) -> None:
    seen = heavy_tailed(seed, 3.0)
    ends = (low * min(seen.minimum, 0.0), high * max(seen.maximum, 0.1))

    found = squared_error(*middles(seen), *ends)

    expected = error_by_hand(seen, *ends)
    assert found == pytest.approx(expected, rel=1e-2)  # a few values on the border of two steps


@settings(max_examples=4)
@given(SEEDS, st.floats(1.5, 30))
def test_no_coarse_pair_is_better(seed: int, degrees: float) -> None:
    seen = heavy_tailed(seed, degrees)

    found = error_by_hand(seen, *mse_range(seen))

    fractions = [at / COARSE for at in range(1, COARSE + 1, 2)]
    for low, high in itertools.product(fractions, fractions):
        tried = error_by_hand(seen, low * seen.minimum, high * seen.maximum)
        assert found <= tried * 1.01


@settings(max_examples=6)
@given(SEEDS, st.floats(1.5, 30))
def test_near_the_best_of_a_search_over_all_borders(seed: int, degrees: float) -> None:
    """Every 16th border of bins at each end; the search may miss a dip, not the valley."""
    seen = heavy_tailed(seed, degrees)
    values, counts = middles(seen)
    borders = (seen.first_bin + np.arange(0, seen.histogram.size + 1, 16)) * seen.bin_width

    found = squared_error(values, counts, *mse_range(seen))

    pairs = itertools.product(borders[borders < 0], borders[borders > 0])
    assert found <= 1.05 * min(squared_error(values, counts, low, high) for low, high in pairs)


@settings(max_examples=12)
@given(MATRICES)
def test_no_worse_than_what_was_seen(values: NDArray[np.float32]) -> None:
    seen = statistics_of(values)
    kept = middles(seen)

    least = squared_error(*kept, *mse_range(seen))

    assert least <= squared_error(*kept, *METHODS["minmax"](seen))


def test_one_sided_tensors_keep_the_end_at_zero() -> None:
    """After GELU: -0.17 … large. The low end is worth clipping only where steps get finer."""
    generator = np.random.default_rng(0)
    values = np.abs(generator.normal(size=(500, 64))).astype(np.float32) + 1

    low, high = mse_range(statistics_of(values))

    assert low == values.min()
    assert 3 < high <= values.max()


def test_a_rare_spike_is_cut_and_many_are_kept() -> None:
    values = np.random.default_rng(0).normal(size=(5000, 100)).astype(np.float32)
    values[3, 3] = 400
    rare = mse_range(statistics_of(values))
    values[:100, 3] = 400
    many = mse_range(statistics_of(values))

    assert rare[1] < 300
    assert many[1] > 390


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0])
def test_a_constant(value: float) -> None:
    seen = statistics_of(np.full((3, 2), value, dtype=np.float32))

    assert squared_error(*middles(seen), *mse_range(seen)) == pytest.approx(0, abs=1e-9)
