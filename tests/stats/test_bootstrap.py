"""Bootstrap intervals, against scipy and against the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bertcompress.errors import UsageError
from bertcompress.stats.bootstrap import (
    example_interval,
    mean_difference,
    median_interval,
    paired_difference,
    quantile_ratio,
)

Rounds = list[list[float]]


def rounds(seed: int, *, level: float = 1.0, count: int = 5, samples: int = 60) -> Rounds:
    """Returns lognormal samples whose rounds differ by two percent; level 2 is twice as slow."""
    generator = np.random.default_rng(seed)
    mood = np.exp(generator.normal(0.0, 0.02, (count, 1)))
    values = level * mood * generator.lognormal(0.0, 0.2, (count, samples))
    return [row.tolist() for row in values]


def test_a_ratio_with_itself_is_one() -> None:
    interval = quantile_ratio(rounds(0), rounds(0), resamples=200)

    assert (interval.low, interval.estimate, interval.high) == (1.0, 1.0, 1.0)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.2, 5.0), st.integers(0, 1000))
def test_a_ratio_scales_with_the_samples(factor: float, seed: int) -> None:
    base, other = rounds(seed), rounds(seed + 1)
    faster = [[value / factor for value in row] for row in other]

    plain = quantile_ratio(base, other, resamples=100)
    scaled = quantile_ratio(base, faster, resamples=100)

    assert scaled.estimate == pytest.approx(plain.estimate * factor)
    assert scaled.low == pytest.approx(plain.low * factor)
    assert plain.low <= plain.estimate <= plain.high


def test_the_interval_of_a_ratio_holds_the_truth_about_as_often_as_it_says() -> None:
    held = sum(
        quantile_ratio(rounds(2 * k), rounds(2 * k + 1, level=0.5), resamples=200).holds(2.0)
        for k in range(60)
    )

    assert held >= 52  # 95 % of 60 is 57


def test_rounds_that_are_further_apart_give_a_wider_interval() -> None:
    calm, moody = rounds(3), [[v * (1 + k / 3) for v in row] for k, row in enumerate(rounds(3))]

    narrow, wide = median_interval(calm, resamples=400), median_interval(moody, resamples=400)

    assert wide.high / wide.low > narrow.high / narrow.low


def test_fast_quantiles_are_numpys() -> None:
    base = [np.random.default_rng(k).random(101).tolist() for k in range(3)]

    ratio = quantile_ratio(base, [[1.0] * 101] * 3, quantile=0.9, resamples=50)

    assert ratio.estimate == pytest.approx(np.quantile(np.concatenate(base), 0.9))
    assert ratio.low <= ratio.estimate <= ratio.high


def test_unequal_rounds_or_empty_ones_are_refused() -> None:
    with pytest.raises(UsageError, match="same rounds"):
        quantile_ratio(rounds(0), rounds(0, count=3))
    with pytest.raises(UsageError, match="equally many"):
        median_interval([[]])
    with pytest.raises(UsageError, match="equally many"):
        median_interval([[1.0], [1.0, 2.0]])


def test_rounds_of_unequal_length_are_drawn_apart() -> None:
    interval = quantile_ratio([[1.0] * 5], [[2.0] * 7], resamples=20)

    assert interval.estimate == 0.5


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_the_mean_difference_agrees_with_scipys_bootstrap(seed: int) -> None:
    generator = np.random.default_rng(seed)
    base, other = generator.random(80), generator.random(80)

    interval, _ = mean_difference(base.tolist(), other.tolist())

    reference = stats.bootstrap(
        (other - base,), np.mean, method="percentile", n_resamples=2000, rng=generator
    ).confidence_interval
    assert interval.estimate == pytest.approx(float((other - base).mean()))
    assert interval.low == pytest.approx(reference.low, abs=0.02)
    assert interval.high == pytest.approx(reference.high, abs=0.02)


def test_equal_sides_do_not_differ() -> None:
    interval, p_value = mean_difference([1.0, 0.0, 1.0], [1.0, 0.0, 1.0])

    assert (interval.low, interval.high, p_value) == (0.0, 0.0, 1.0)


def test_a_clear_difference_has_a_small_p_value() -> None:
    _, p_value = mean_difference([0.0] * 50 + [1.0] * 50, [1.0] * 90 + [0.0] * 10)

    assert p_value < 0.01


def test_sides_of_different_length_are_refused() -> None:
    with pytest.raises(UsageError, match="equal"):
        mean_difference([1.0], [1.0, 0.0])
    with pytest.raises(UsageError, match="equal"):
        mean_difference([], [])


def test_the_same_seed_gives_the_same_interval() -> None:
    rows = np.random.default_rng(0).random((50, 1))

    def mean(sums: np.ndarray) -> np.ndarray:
        return sums[:, 0] / 50

    assert example_interval(rows, mean, seed=3) == example_interval(rows, mean, seed=3)
    assert paired_difference(rows, rows, mean, seed=3)[1] == 1.0
