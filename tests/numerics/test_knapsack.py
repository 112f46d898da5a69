"""The knapsack finds what brute force finds."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bertcompress.errors import UsageError
from bertcompress.numerics.knapsack import cheapest_within

Rows = list[NDArray[np.float64]]
numbers = st.floats(0, 10, allow_nan=False)
groups = st.lists(
    st.integers(1, 4).flatmap(
        lambda count: st.tuples(
            st.lists(numbers, min_size=count, max_size=count),
            st.lists(st.integers(0, 20), min_size=count, max_size=count),
        )
    ),
    min_size=1,
    max_size=4,
)


def brute_force(costs: Rows, times: Rows, budget: float) -> float | None:
    sums = [
        sum(cost[level] for cost, level in zip(costs, levels, strict=True))
        for levels in product(*(range(len(cost)) for cost in costs))
        if sum(time[level] for time, level in zip(times, levels, strict=True)) <= budget
    ]
    return min(sums, default=None)


@given(groups, st.integers(0, 60))
def test_it_equals_brute_force_where_times_are_whole_buckets(
    drawn: list[tuple[list[float], list[int]]], budget: int
) -> None:
    costs = [np.asarray(cost) for cost, _ in drawn]
    times = [np.asarray(time, dtype=np.float64) for _, time in drawn]

    chosen = cheapest_within(costs, times, float(budget), buckets=max(1, budget))

    expected = brute_force(costs, times, float(budget))
    if expected is None:
        assert chosen is None
        return
    assert chosen is not None
    assert sum(time[level] for time, level in zip(times, chosen, strict=True)) <= budget
    found = sum(cost[level] for cost, level in zip(costs, chosen, strict=True))
    assert found == pytest.approx(expected)


@given(groups, st.floats(0.1, 60), st.integers(1, 50))
def test_the_budget_is_kept_however_coarse_the_buckets_are(
    drawn: list[tuple[list[float], list[int]]], budget: float, buckets: int
) -> None:
    costs = [np.asarray(cost) for cost, _ in drawn]
    times = [np.asarray(time, dtype=np.float64) * 0.37 for _, time in drawn]

    chosen = cheapest_within(costs, times, budget, buckets=buckets)

    if chosen is not None:
        spent = sum(time[level] for time, level in zip(times, chosen, strict=True))
        assert spent <= budget * (1 + 1e-6)


def test_a_budget_that_nothing_keeps_gives_none() -> None:
    assert cheapest_within([np.zeros(2)], [np.array([5.0, 9.0])], 4.0) is None


def test_costs_may_be_negative() -> None:
    assert cheapest_within([np.array([0.0, -3.0])], [np.array([0.0, 1.0])], 1.0) == (1,)


@pytest.mark.parametrize(
    ("costs", "times", "budget"),
    [
        ([np.zeros(2)], [np.zeros(3)], 1.0),
        ([np.zeros(0)], [np.zeros(0)], 1.0),
        ([np.array([np.nan])], [np.zeros(1)], 1.0),
        ([np.zeros(1)], [np.array([-1.0])], 1.0),
        ([np.zeros(1)], [np.zeros(1)], -1.0),
    ],
)
def test_what_can_not_be_meant_is_refused(costs: Rows, times: Rows, budget: float) -> None:
    with pytest.raises(UsageError):
        cheapest_within(costs, times, budget)
