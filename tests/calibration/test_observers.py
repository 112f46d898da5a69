"""Histograms that are exact whatever the order, and ranges from them."""

from __future__ import annotations

import doctest
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError
from bertcompress_calibration import observers
from bertcompress_calibration.observers import (
    METHODS,
    HistogramObserver,
    MinMaxObserver,
    Statistics,
    minmax_range,
    percentile_range,
    statistics_of,
)

ANY_NUMBER = st.floats(width=32, allow_nan=False, allow_infinity=False)
ORDINARY = st.floats(-100, 100, width=32)
VECTORS = arrays(np.float32, st.integers(1, 60), elements=ANY_NUMBER | ORDINARY | st.just(0.0))
BINS = st.sampled_from([2, 3, 16, 2048])


def same(one: Statistics, other: Statistics) -> bool:
    return (
        (one.minimum, one.maximum, one.count) == (other.minimum, other.maximum, other.count)
        and one.bin_width == other.bin_width
        and np.array_equal(one.histogram, other.histogram)
    )


def borders(seen: Statistics) -> NDArray[np.float64]:
    steps = np.arange(seen.first_bin, seen.first_bin + seen.histogram.size + 1, dtype=np.float64)
    return np.asarray(steps * seen.bin_width, dtype=np.float64)


def test_example_in_the_docstring() -> None:
    outcome = doctest.testmod(observers)

    assert (outcome.failed, outcome.attempted > 0) == (0, True)


# --- histograms -----------------------------------------------------------------------------------


@given(VECTORS, BINS)
def test_counts_are_those_between_the_borders(values: NDArray[np.float32], bins: int) -> None:
    seen = statistics_of(values, bins=bins)

    expected = [
        int(np.count_nonzero((values >= low) & (values < high)))
        for low, high in zip(borders(seen)[:-1], borders(seen)[1:], strict=True)
    ]
    assert seen.histogram.tolist() == expected
    assert seen.histogram.dtype == np.int64
    assert seen.histogram.size <= bins
    assert int(seen.histogram.sum()) == seen.count == values.size
    assert (seen.minimum, seen.maximum) == (values.min(), values.max())


@given(st.lists(VECTORS, min_size=1, max_size=5), BINS)
def test_parts_add_up_to_the_whole(parts: list[NDArray[np.float32]], bins: int) -> None:
    observer = HistogramObserver(bins=bins)

    for part in parts:
        observer.observe(part)

    assert same(observer.statistics, statistics_of(np.concatenate(parts), bins=bins))


@given(st.lists(VECTORS, min_size=2, max_size=5), BINS, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(
    parts: list[NDArray[np.float32]], bins: int, shuffler: random.Random
) -> None:
    one, other = HistogramObserver(bins=bins), HistogramObserver(bins=bins)

    for part in parts:
        one.observe(part)
    shuffler.shuffle(parts)
    for part in parts:
        other.observe(part[::-1])

    assert same(one.statistics, other.statistics)


@given(VECTORS, VECTORS, BINS)
def test_observers_can_be_merged(
    first: NDArray[np.float32], second: NDArray[np.float32], bins: int
) -> None:
    one, other = HistogramObserver(bins=bins), HistogramObserver(bins=bins)
    one.observe(first)
    other.observe(second)

    one.merge(other.statistics)

    assert same(one.statistics, statistics_of(np.concatenate([first, second]), bins=bins))


@pytest.mark.parametrize("values", [[0.0, 1e-40, 1.0, -3e38], [3e38, -1.0, 1e-10, 0.0]])
def test_a_range_that_grows_by_many_powers_of_ten(values: list[float]) -> None:
    observer = HistogramObserver()

    for value in values:
        observer.observe(np.array([value], dtype=np.float32))

    assert same(observer.statistics, statistics_of(np.array(values, dtype=np.float32)))


def test_more_values_than_are_binned_at_once() -> None:
    values = np.random.default_rng(0).normal(size=(3, 400_000)).astype(np.float32)
    observer = HistogramObserver()

    observer.observe(values)

    assert same(observer.statistics, statistics_of(values))


@given(arrays(np.float32, st.integers(2, 60), elements=ORDINARY, unique=True))
def test_more_than_half_of_the_bins_are_used(values: NDArray[np.float32]) -> None:
    seen = statistics_of(values)

    finest = max(abs(seen.minimum), abs(seen.maximum)) * 2.0**-22
    assert seen.histogram.size > 1024 or seen.bin_width <= finest


@pytest.mark.parametrize("value", [0.0, 3.25, -1e-40, 3e38])
def test_a_constant_has_one_bin(value: float) -> None:
    seen = statistics_of(np.full(1000, value, dtype=np.float32))

    assert seen.histogram.tolist() == [1000]
    assert percentile_range(seen) == (seen.minimum, seen.maximum)
    assert seen.minimum == seen.maximum == np.float32(value)


def test_zeros_leave_room_for_the_smallest_bins() -> None:
    assert statistics_of(np.zeros(3, dtype=np.float32)).bin_width == 2.0**-149


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [MinMaxObserver, HistogramObserver])
def test_values_that_are_no_numbers(
    kind: type[MinMaxObserver] | type[HistogramObserver], bad: float
) -> None:
    values = np.array([1.0, bad, 2.0], dtype=np.float32)

    with pytest.raises(CalibrationError, match="the input of x takes NaN or infinity"):
        kind("the input of x").observe(values)


@pytest.mark.parametrize("kind", [MinMaxObserver, HistogramObserver])
def test_nothing_was_seen(kind: type[MinMaxObserver] | type[HistogramObserver]) -> None:
    observer = kind("the input of x")
    observer.observe(np.zeros((0, 8), dtype=np.float32))

    with pytest.raises(CalibrationError, match="no value of the input of x was seen"):
        _ = observer.statistics


# --- ranges ---------------------------------------------------------------------------------------


@given(st.lists(VECTORS, min_size=1, max_size=5))
def test_minmax_is_what_was_seen(parts: list[NDArray[np.float32]]) -> None:
    observer = MinMaxObserver()

    for part in parts:
        observer.observe(part)

    whole = np.concatenate(parts)
    assert minmax_range(observer.statistics) == (whole.min(), whole.max())
    assert observer.statistics.count == whole.size
    assert observer.statistics.histogram.size == 0


@given(VECTORS, BINS, st.floats(0.5, 100))
def test_a_percentile_cuts_no_more_than_allowed(
    values: NDArray[np.float32], bins: int, percentile: float
) -> None:
    seen = statistics_of(values, bins=bins)

    low, high = percentile_range(seen, percentile)

    allowed = values.size * (100 - percentile) / 200
    assert seen.minimum <= low <= high <= seen.maximum
    assert np.count_nonzero(values < low) <= allowed
    assert np.count_nonzero(values > high) <= allowed


@given(VECTORS)
def test_a_percentile_of_100_is_minmax(values: NDArray[np.float32]) -> None:
    seen = statistics_of(values)

    assert percentile_range(seen, 100) == minmax_range(seen)


@given(VECTORS, st.floats(0.5, 100), st.floats(0.5, 100))
def test_a_higher_percentile_is_no_narrower(
    values: NDArray[np.float32], one: float, other: float
) -> None:
    seen = statistics_of(values)

    inner, outer = (percentile_range(seen, at) for at in sorted((one, other)))

    assert outer[0] <= inner[0] <= inner[1] <= outer[1]


def test_a_percentile_by_hand() -> None:
    """Of 0 … 999 and one spike, 1 % is 10.01 values: 5 may go at each end."""
    seen = statistics_of(np.array([*range(1000), 1023.5], dtype=np.float32))

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
    seen = statistics_of(np.ones(3, dtype=np.float32))

    with pytest.raises(CalibrationError, match="percentile must be above 0 and up to 100"):
        percentile_range(seen, percentile)


def test_percentiles_need_a_histogram() -> None:
    observer = MinMaxObserver()
    observer.observe(np.ones(3, dtype=np.float32))

    with pytest.raises(CalibrationError, match="percentiles need a histogram"):
        percentile_range(observer.statistics)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_decides(name: str) -> None:
    observer = METHODS[name].observer("x")
    observer.observe(np.array([-1.0, 4.0], dtype=np.float32))

    assert METHODS[name].decide(observer.statistics) == (-1.0, 4.0)
