"""Entropy against its definition, candidate by candidate."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from bertcompress_calibration.entropy import (
    LEVELS,
    divergences,
    entropy_range,
    histogram_of_sizes,
)
from bertcompress_calibration.statistics import statistics_of

Counts = NDArray[np.int64]
HISTOGRAMS = st.integers(LEVELS, 200).flatmap(
    lambda size: arrays(np.int64, size, elements=st.integers(0, 50) | st.just(0))
)
SEEDS = st.integers(0, 2**32 - 1)


def divergence(counts: Counts, bins: int) -> float:
    """Computes KL(P || Q) as Migacz writes it: build P, build Q level by level, compare."""
    inside, beyond = [int(one) for one in counts[:bins]], int(counts[bins:].sum())
    p = [float(one) for one in inside]
    filled = [at for at in range(bins) if inside[at]]
    if not filled:
        return math.inf
    p[filled[-1]] += beyond
    q = [0.0] * bins
    for level in range(LEVELS):
        start, end = level * bins // LEVELS, (level + 1) * bins // LEVELS
        filled = [at for at in range(start, end) if inside[at]]
        for at in filled:
            q[at] = sum(inside[start:end]) / len(filled)
    result = 0.0
    for one, other in zip(p, q, strict=True):
        if one:
            result += one / sum(p) * math.log(one / sum(p) / (other / sum(q)))
    return result


@settings(max_examples=40)
@given(HISTOGRAMS)
def test_divergences_are_those_of_the_definition(counts: Counts) -> None:
    counts[-1] += 1

    found = divergences(counts)

    expected = [divergence(counts, bins) for bins in range(LEVELS, counts.size + 1)]
    assert found == pytest.approx(expected, rel=0, abs=1e-9)


@given(HISTOGRAMS)
def test_there_is_always_a_candidate(counts: Counts) -> None:
    counts[-1] += 1

    assert math.isfinite(divergences(counts)[-1])


@settings(max_examples=10)
@given(SEEDS, st.floats(0.5, 20))
def test_the_range_has_the_least_divergence(seed: int, spike: float) -> None:
    values = np.random.default_rng(seed).laplace(size=(64, 32)).astype(np.float32)
    values[0, 0] = spike
    seen = statistics_of(values)
    sizes, width = histogram_of_sizes(seen)

    low, high = entropy_range(seen)

    clip = max(-low, high)
    whole = clip == max(-seen.minimum, seen.maximum)
    bins = sizes.size if whole else round(clip / width)
    tried = [divergence(sizes, one) for one in range(LEVELS, sizes.size + 1, 61)]
    assert divergence(sizes, bins) <= min(tried) + 1e-9


@settings(max_examples=30)
@given(arrays(np.float32, (30, 2), elements=st.floats(-100, 100, width=32)))
def test_sizes_are_counted_whatever_the_sign(values: NDArray[np.float32]) -> None:
    counts, width = histogram_of_sizes(statistics_of(values))

    edges = np.arange(counts.size + 1) * width
    above, below = values[values >= 0], -values[values < 0]
    expected = [
        np.count_nonzero((above >= low) & (above < high))
        + np.count_nonzero((below > low) & (below <= high))
        for low, high in itertools.pairwise(edges)
    ]
    assert counts.tolist() == expected


def test_values_far_from_zero_take_no_more_bins() -> None:
    seen = statistics_of(np.float32([[1000.0], [1000.5]]))

    counts, width = histogram_of_sizes(seen)

    assert counts.size <= 2048
    assert counts.sum() == 2
    assert (counts.size - 1) * width <= 1000.5 < counts.size * width


def test_a_spike_is_cut() -> None:
    """N(0, 1) and one value of 60: 128 bins of 1/16 reach 8, and nothing lies beyond but it."""
    values = np.random.default_rng(0).normal(size=(1000, 100)).astype(np.float32)
    values[3, 3] = 60

    low, high = entropy_range(statistics_of(values))

    assert 8.0 <= high < 9.0
    assert low == values.min()


def test_what_is_equal_is_not_clipped() -> None:
    """Two values apart are told apart by any levels."""
    assert entropy_range(statistics_of(np.float32([[-1.0], [4.0]]))) == (-1.0, 4.0)


def test_few_bins_are_left_whole() -> None:
    seen = statistics_of(np.float32([[-1.0], [4.0]]), bins=16)

    assert entropy_range(seen) == (-1.0, 4.0)
