"""Ranges from statistics, each method against a brute-force reference on the values themselves."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError, UsageError
from bertcompress_calibration.range_methods import (
    METHODS,
    mean_range,
    method_named,
    minmax_range,
    percentile_range,
    token_range,
)
from bertcompress_calibration.statistics import Observer, statistics_of

ANY_NUMBER = st.floats(width=32, allow_nan=False, allow_infinity=False)
ORDINARY = st.floats(-100, 100, width=32)
ELEMENTS = ANY_NUMBER | ORDINARY | st.just(0.0)
BINS = st.sampled_from([2, 3, 16, 2048])
Matrix = NDArray[np.float32]
MATRICES = arrays(np.float32, st.tuples(st.integers(1, 20), st.just(3)), elements=ELEMENTS)


def column(values: list[float]) -> Matrix:
    """Gives one channel: every value is a token of its own."""
    return np.array(values, dtype=np.float32)[:, None]


# --- min-max --------------------------------------------------------------------------------------


@given(MATRICES)
def test_minmax_is_what_was_seen(values: Matrix) -> None:
    assert minmax_range(statistics_of(values)) == (values.min(), values.max())


# --- the mean of the samples' extremes ------------------------------------------------------------


@given(st.lists(MATRICES, min_size=1, max_size=6))
def test_the_mean_is_that_of_each_samples_extremes(samples: list[Matrix]) -> None:
    lengths = np.array([len(one) for one in samples])

    low, high = mean_range(statistics_of(np.concatenate(samples), lengths))

    lows = sum(Fraction(float(one.min())) for one in samples) / len(samples)
    highs = sum(Fraction(float(one.max())) for one in samples) / len(samples)
    assert low == pytest.approx(float(lows), rel=1e-15)
    assert high == pytest.approx(float(highs), rel=1e-15)


@given(st.permutations(range(6)), st.lists(ORDINARY, min_size=12, max_size=12))
def test_the_mean_does_not_depend_on_the_order(order: list[int], values: list[float]) -> None:
    samples = np.array(values, dtype=np.float32).reshape(6, 2, 1)
    one, other = Observer(), Observer()

    for at in range(6):
        one.observe(samples[at])
        other.observe(samples[order[at]])

    assert mean_range(one.statistics) == mean_range(other.statistics)


def test_the_mean_lets_a_spike_count_for_one_sample() -> None:
    pairs = column([1.0, 2.0] * 99 + [1.0, 102.0])

    assert mean_range(statistics_of(pairs, np.full(100, 2))) == (1.0, 3.0)


# --- percentiles ----------------------------------------------------------------------------------


@given(MATRICES, BINS, st.floats(0.5, 100))
def test_a_percentile_cuts_no_more_than_allowed(
    values: Matrix, bins: int, percentile: float
) -> None:
    seen = statistics_of(values, bins=bins)

    low, high = percentile_range(seen, percentile)

    allowed = values.size * (100 - percentile) / 200
    assert seen.minimum <= low <= high <= seen.maximum
    assert np.count_nonzero(values < low) <= allowed
    assert np.count_nonzero(values > high) <= allowed


@given(MATRICES, st.floats(0.5, 100))
def test_a_percentile_is_that_of_the_sorted_values_up_to_a_bin(
    values: Matrix, percentile: float
) -> None:
    seen = statistics_of(values)
    ordered = np.sort(values.reshape(-1)).astype(np.float64)
    cut = int(values.size * (100 - percentile) / 200)

    low, high = percentile_range(seen, percentile)

    assert ordered[cut] - seen.bin_width <= low <= ordered[cut]
    assert ordered[-1 - cut] <= high <= ordered[-1 - cut] + seen.bin_width


@given(MATRICES)
def test_a_percentile_of_100_is_minmax(values: Matrix) -> None:
    seen = statistics_of(values)

    assert percentile_range(seen, 100) == minmax_range(seen)


@given(MATRICES, st.floats(0.5, 100), st.floats(0.5, 100))
def test_a_higher_percentile_is_no_narrower(values: Matrix, one: float, other: float) -> None:
    seen = statistics_of(values)

    inner, outer = (percentile_range(seen, at) for at in sorted((one, other)))

    assert outer[0] <= inner[0] <= inner[1] <= outer[1]


def test_a_percentile_by_hand() -> None:
    """Of 0 … 999 and one spike, 1 % is 10.01 values: 5 may go at each end."""
    seen = statistics_of(column([*range(1000), 1023.5]))

    assert seen.bin_width == 0.5
    assert percentile_range(seen, 99) == (5.0, 995.5)


def test_the_default_cuts_a_spike_and_leaves_a_channel() -> None:
    values = np.random.default_rng(1).normal(size=(2000, 128)).astype(np.float32)
    values[:, 7] += 12  # large for every token
    values[3, 5] = 90.0  # a spike

    low, high = percentile_range(statistics_of(values))

    assert values[:, 7].max() - 0.5 < high < 20
    assert low == pytest.approx(values.min(), abs=0.5)


@pytest.mark.parametrize("percentile", [0.0, -1.0, 100.1, math.nan])
def test_percentiles_that_cannot_be_meant(percentile: float) -> None:
    seen = statistics_of(np.ones((3, 1), dtype=np.float32))

    with pytest.raises(CalibrationError, match="percentile must be above 0 and up to 100"):
        percentile_range(seen, percentile)


# --- token-wise clipping --------------------------------------------------------------------------


@given(MATRICES, BINS, st.floats(50, 100))
def test_no_more_tokens_are_clipped_than_allowed(
    values: Matrix, bins: int, percentile: float
) -> None:
    seen = statistics_of(values, bins=bins)

    low, high = token_range(seen, percentile)

    allowed = len(values) * (100 - percentile) / 100
    assert seen.minimum <= low <= high <= seen.maximum
    assert np.count_nonzero(values.min(axis=1) < low) <= allowed
    assert np.count_nonzero(values.max(axis=1) > high) <= allowed


@given(MATRICES, st.floats(50, 100))
def test_tokens_are_clipped_at_a_quantile_of_their_sorted_extremes(
    values: Matrix, percentile: float
) -> None:
    seen = statistics_of(values)
    lows, highs = np.sort(values.min(axis=1)), np.sort(values.max(axis=1))
    cut = int(len(values) * (100 - percentile) / 100)

    low, high = token_range(seen, percentile)

    assert float(lows[cut]) - seen.bin_width <= low <= lows[cut]
    assert highs[-1 - cut] <= high <= float(highs[-1 - cut]) + seen.bin_width


def test_a_separator_is_clipped_in_all_its_channels() -> None:
    """One token in 2 000 is large in half of its channels: 0.025 % of values, 0.05 % of tokens."""
    values = np.random.default_rng(1).normal(size=(2000, 128)).astype(np.float32)
    values[77, :64] = 50.0

    assert token_range(statistics_of(values))[1] < 6
    assert percentile_range(statistics_of(values))[1] > 49


@pytest.mark.parametrize("percentile", [49.9, 100.1, math.nan])
def test_percentiles_of_tokens_that_cannot_be_meant(percentile: float) -> None:
    seen = statistics_of(np.ones((3, 1), dtype=np.float32))

    with pytest.raises(CalibrationError, match="percentile of tokens must be from 50 to 100"):
        token_range(seen, percentile)


# --- all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(METHODS))
@settings(max_examples=15)
@given(values=MATRICES)
def test_every_range_lies_within_what_was_seen(name: str, values: Matrix) -> None:
    seen = statistics_of(values)

    low, high = METHODS[name](seen)

    assert seen.minimum <= low <= high <= seen.maximum


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'entropy'"):
        method_named("entrophy")
