"""Statistics that are exact whatever the order, against counting by hand."""

from __future__ import annotations

import doctest
import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bertcompress.errors import CalibrationError
from bertcompress_calibration import statistics
from bertcompress_calibration.statistics import Observer, Statistics, merged, statistics_of

ANY_NUMBER = st.floats(width=32, allow_nan=False, allow_infinity=False)
ORDINARY = st.floats(-100, 100, width=32)
ELEMENTS = ANY_NUMBER | ORDINARY | st.just(0.0)
BINS = st.sampled_from([2, 3, 16, 2048])
Matrix = NDArray[np.float32]
MATRICES = arrays(np.float32, st.tuples(st.integers(1, 20), st.just(3)), elements=ELEMENTS)
PARTS = st.lists(MATRICES, min_size=1, max_size=5)
COUNTED = ("histogram", "token_minima", "token_maxima")


def same(one: Statistics, other: Statistics) -> bool:
    """Says whether all are equal, the means up to float64's rounding."""
    numbers = ("minimum", "maximum", "count", "bin_width")
    exact = (*COUNTED, "sample_minima", "sample_maxima", "channel_absmax")
    scale = np.maximum(one.channel_absmax.astype(np.float64), 1e-300)
    return (
        all(getattr(one, name) == getattr(other, name) for name in numbers)
        and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in exact)
        and bool(np.all(np.abs(one.channel_mean - other.channel_mean) <= 1e-12 * scale))
    )


def in_bins(values: Matrix, seen: Statistics) -> list[int]:
    """Counts what lies between the borders of each bin."""
    first = math.floor(seen.minimum / seen.bin_width)
    values = values.astype(np.float64)
    borders = [(first + at) * seen.bin_width for at in range(seen.histogram.size + 1)]
    return [
        int(np.count_nonzero((values >= low) & (values < high)))
        for low, high in itertools.pairwise(borders)
    ]


def test_example_in_the_docstring() -> None:
    outcome = doctest.testmod(statistics)

    assert (outcome.failed, outcome.attempted > 0) == (0, True)


# --- one batch ------------------------------------------------------------------------------------


@given(MATRICES, BINS)
def test_counts_are_those_between_the_borders(values: Matrix, bins: int) -> None:
    seen = statistics_of(values, bins=bins)

    assert seen.histogram.tolist() == in_bins(values, seen)
    assert seen.token_minima.tolist() == in_bins(values.min(axis=1), seen)
    assert seen.token_maxima.tolist() == in_bins(values.max(axis=1), seen)
    assert all(getattr(seen, name).dtype == np.int64 for name in COUNTED)
    assert seen.histogram.size <= bins
    assert (seen.count, seen.tokens) == (values.size, len(values))
    assert (seen.minimum, seen.maximum) == (values.min(), values.max())


@given(MATRICES)
def test_channels_are_kept_apart(values: Matrix) -> None:
    seen = statistics_of(values)

    for channel, column in enumerate(values.T):
        size = float(np.abs(column).max())
        assert seen.channel_absmax[channel] == size
        mean = math.fsum(float(value) for value in column) / len(column)
        assert seen.channel_mean[channel] == pytest.approx(mean, rel=0, abs=1e-12 * size)
    assert seen.channel_absmax.dtype == np.float32


@given(PARTS)
def test_each_sample_has_its_own_extremes(parts: list[Matrix]) -> None:
    lengths = np.array([len(part) for part in parts])

    seen = statistics_of(np.concatenate(parts), lengths)

    assert seen.sample_minima.tolist() == [float(part.min()) for part in parts]
    assert seen.sample_maxima.tolist() == [float(part.max()) for part in parts]


@given(arrays(np.float32, (20, 3), elements=ORDINARY, unique=True))
def test_more_than_half_of_the_bins_are_used(values: Matrix) -> None:
    seen = statistics_of(values)

    finest = max(abs(seen.minimum), abs(seen.maximum)) * 2.0**-22
    assert seen.histogram.size > 1024 or seen.bin_width <= finest


@pytest.mark.parametrize("value", [0.0, 3.25, -1e-40, 3e38])
def test_a_constant_has_one_bin(value: float) -> None:
    seen = statistics_of(np.full((500, 2), value, dtype=np.float32))

    assert seen.histogram.tolist() == [1000]
    assert seen.token_minima.tolist() == seen.token_maxima.tolist() == [500]
    assert seen.minimum == seen.maximum == np.float32(value)


def test_zeros_leave_room_for_the_smallest_bins() -> None:
    assert statistics_of(np.zeros((3, 1), dtype=np.float32)).bin_width == 2.0**-149


# --- streams and shards ---------------------------------------------------------------------------


@given(PARTS, BINS)
def test_parts_add_up_to_the_whole(parts: list[Matrix], bins: int) -> None:
    observer = Observer(bins=bins)

    for part in parts:
        observer.observe(part)

    lengths = np.array([len(part) for part in parts])
    assert same(observer.statistics, statistics_of(np.concatenate(parts), lengths, bins=bins))


@given(PARTS, BINS, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(parts: list[Matrix], bins: int, shuffler: random.Random) -> None:
    one, other = Observer(bins=bins), Observer(bins=bins)

    for part in parts:
        one.observe(part)
    shuffler.shuffle(parts)
    for part in parts:
        other.observe(part[::-1])

    found, again = one.statistics, other.statistics
    assert all(np.array_equal(getattr(found, name), getattr(again, name)) for name in COUNTED)
    assert (found.minimum, found.maximum, found.count) == (
        again.minimum,
        again.maximum,
        again.count,
    )
    assert np.array_equal(found.channel_absmax, again.channel_absmax)
    assert sorted(found.sample_maxima.tolist()) == sorted(again.sample_maxima.tolist())


@given(PARTS, PARTS, BINS)
def test_two_shards_merge_to_one_pass(first: list[Matrix], second: list[Matrix], bins: int) -> None:
    one, other, whole = Observer(bins=bins), Observer(bins=bins), Observer(bins=bins)
    for part in first:
        one.observe(part)
        whole.observe(part)
    for part in second:
        other.observe(part)
        whole.observe(part)

    one.merge(other.statistics)

    assert same(one.statistics, whole.statistics)


@pytest.mark.parametrize("values", [[0.0, 1e-40, 1.0, -3e38], [3e38, -1.0, 1e-10, 0.0]])
def test_a_range_that_grows_by_many_powers_of_ten(values: list[float]) -> None:
    observer = Observer()

    for value in values:
        observer.observe(np.array([[value]], dtype=np.float32))

    whole = np.array(values, dtype=np.float32)[:, None]
    assert same(observer.statistics, statistics_of(whole, np.ones(4, dtype=np.int64)))


def test_more_values_than_are_binned_at_once() -> None:
    values = np.random.default_rng(0).normal(size=(400, 3000)).astype(np.float32)

    seen = statistics_of(values)

    assert seen.histogram.tolist() == in_bins(values, seen)


def test_memory_does_not_grow_with_the_data() -> None:
    """The fifth bug of the stock calibrator is to keep every value; here it is 8 bytes a sample."""
    values = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    observer = Observer()
    sizes = []

    for _ in range(50):
        observer.observe(values)
        kept = [one for one in vars(observer.statistics).values() if isinstance(one, np.ndarray)]
        sizes.append(sum(array.nbytes for array in kept))

    assert sizes[-1] - sizes[0] == 49 * 8
    assert sizes[-1] < 3 * 2048 * 8 + 32 * 12 + 50 * 8


# --- what can't be --------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(bad: float) -> None:
    values = np.array([[1.0, bad, 2.0]], dtype=np.float32)

    with pytest.raises(CalibrationError, match="the input of x takes NaN or infinity"):
        Observer("the input of x").observe(values)


def test_nothing_was_seen() -> None:
    observer = Observer("the input of x")
    observer.observe(np.zeros((0, 8), dtype=np.float32))

    with pytest.raises(CalibrationError, match="no value of the input of x was seen"):
        _ = observer.statistics


def test_tensors_of_other_widths_are_not_merged() -> None:
    one, other = (statistics_of(np.ones((2, width), dtype=np.float32)) for width in (3, 4))

    with pytest.raises(CalibrationError, match="of 3 and of 4 channels"):
        merged(one, other)
