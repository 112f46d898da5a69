"""The bisection finds the rate that is known by arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.bench.server import TOLERANCE, allowed_late, highest_rate
from bertcompress.bench.worker.load import arrivals
from bertcompress.stats.intervals import percentile


def simulated_p99(rate: float, *, service_s: float, servers: int, requests: int = 662) -> float:
    """Returns the p99 of a queue of fixed service time, each request taking the first free."""
    free, latencies = [0.0] * servers, []
    for arrival in arrivals(requests, rate, seed=0):
        first = int(np.argmin(free))
        free[first] = max(free[first], arrival) + service_s
        latencies.append(free[first] - arrival)
    p99 = percentile(latencies, 0.99).value
    assert p99 is not None
    return p99


@given(st.floats(1.0, 1000.0), st.floats(0.02, 50.0))
def test_a_known_border_is_found_from_anywhere(border: float, factor: float) -> None:
    tried: list[float] = []

    def attempt(rate: float) -> bool:
        tried.append(rate)
        return rate <= border

    found = highest_rate(attempt, first=border * factor, lowest=border / 100)

    assert found is not None
    assert border / (1 + TOLERANCE) <= found <= border
    assert found in tried
    assert len(tried) <= 24


@pytest.mark.parametrize("servers", [1, 2, 4])
def test_the_highest_rate_of_a_simulated_queue_is_found(servers: int) -> None:
    service_s, bound_s = 0.004, 0.016

    def kept(rate: float) -> bool:
        return simulated_p99(rate, service_s=service_s, servers=servers) <= bound_s

    steps = np.arange(0.2, 1.3, 0.002) * servers / service_s
    border = max(rate for rate in steps if kept(rate))

    found = highest_rate(kept, first=0.7 * servers / service_s, lowest=1.0)

    assert found is not None
    assert border / 1.04 <= found <= border * 1.005


def test_a_bound_that_nothing_keeps_gives_none_and_few_trials() -> None:
    tried: list[float] = []

    def refuse(rate: float) -> bool:
        tried.append(rate)
        return False

    assert highest_rate(refuse, first=100.0, lowest=2.0) is None
    assert tried == [100.0, 50.0, 25.0, 12.5, 6.25, 3.125, 2.0]


def test_a_first_rate_below_the_lowest_begins_there() -> None:
    assert highest_rate(lambda rate: rate < 1.0, first=0.5, lowest=2.0) is None


def test_a_machine_without_limit_ends_the_search() -> None:
    tried: list[float] = []

    def accept(rate: float) -> bool:
        tried.append(rate)
        return True

    assert highest_rate(accept, first=1.0, lowest=0.1) == max(tried)
    assert len(tried) == 24


@given(st.integers(662, 5000), st.integers(0, 60))
def test_a_run_is_given_up_only_when_its_p99_is_above_the_bound(requests: int, late: int) -> None:
    bound = 1.0
    samples = [0.5] * (requests - late) + [1.0001] * late

    p99 = percentile(samples, 0.99).value

    assert p99 is not None
    if late > allowed_late(requests):
        assert p99 > bound
    if late < allowed_late(requests):
        assert p99 <= bound
