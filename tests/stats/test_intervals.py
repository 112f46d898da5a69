"""Closed forms, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bertcompress.errors import UsageError
from bertcompress.stats.intervals import (
    Interval,
    coefficient_of_variation,
    mcnemar,
    minimum_count,
    percentile,
    wilson,
)

COUNTS = {0.5: 1, 0.9: 64, 0.95: 130, 0.99: 662, 0.999: 6636}


@pytest.mark.parametrize(("quantile", "count"), COUNTS.items())
def test_minimum_counts_are_those_of_mlperf(quantile: float, count: int) -> None:
    assert minimum_count(quantile) == count


@given(st.floats(0.51, 0.9995))
def test_minimum_count_is_the_first_that_the_binomial_allows(quantile: float) -> None:
    count = minimum_count(quantile)

    assert stats.binom.cdf(1, count, 1 - quantile) <= 0.01 * (1 + 1e-9)
    assert stats.binom.cdf(1, count - 1, 1 - quantile) > 0.01 * (1 - 1e-9)


@pytest.mark.parametrize("quantile", [0.0, 1.0, 99.0])
def test_a_quantile_outside_its_range_is_refused(quantile: float) -> None:
    with pytest.raises(UsageError, match="quantile"):
        minimum_count(quantile)


@pytest.mark.parametrize(("quantile", "count"), COUNTS.items())
def test_percentile_is_there_from_its_minimum_count_on(quantile: float, count: int) -> None:
    samples = np.random.default_rng(0).random(count).tolist()

    assert percentile(samples, quantile).value == pytest.approx(np.quantile(samples, quantile))
    short = percentile(samples[1:], quantile)
    assert (short.value, short.missing) == (None, 1)


@given(st.integers(1, 3000), st.data())
def test_wilson_agrees_with_scipy(count: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, count))

    own = wilson(successes, count)

    reference = stats.binomtest(successes, count).proportion_ci(0.95, method="wilson")
    assert own.low == pytest.approx(reference.low, abs=1e-9)
    assert own.high == pytest.approx(reference.high, abs=1e-9)


@pytest.mark.parametrize(("successes", "count"), [(1, 0), (5, 4), (-1, 4)])
def test_wilson_refuses_impossible_counts(successes: int, count: int) -> None:
    with pytest.raises(UsageError, match="accuracy"):
        wilson(successes, count)


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_the_exact_binomial_test(lost: int, gained: int) -> None:
    expected = 1.0
    if lost + gained:
        expected = stats.binomtest(lost, lost + gained, 0.5).pvalue

    assert mcnemar(lost, gained) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.floats(0.001, 10.0), min_size=2, max_size=50))
def test_coefficient_of_variation_agrees_with_scipy(samples: list[float]) -> None:
    expected = float(stats.variation(samples, ddof=1))

    assert coefficient_of_variation(samples) == pytest.approx(expected, abs=1e-9)


def test_one_sample_has_no_variation() -> None:
    assert coefficient_of_variation([1.0]) is None


def test_an_interval_holds_its_ends() -> None:
    interval = Interval(1.0, 0.9, 1.1)

    assert interval.holds(0.9)
    assert not interval.holds(1.2)
