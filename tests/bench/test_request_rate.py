"""The rate that arithmetic gives is found: by the bisection, and by a fake under requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.bench.request_rate import TOLERANCE, allowed_late, highest_rate, serve_variant
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.fake import FakeArtifact, service_seconds, write_fake
from bertcompress.bench.worker.load import arrivals
from bertcompress.bench.workload import sample_features
from bertcompress.inference.best_settings import RuntimeSettings
from bertcompress.stats.intervals import percentile

SETTINGS = BenchSettings(server=True, server_requests=662)
OVERHEAD_S = 0.0002


def tuned(streams: int) -> Tuning:
    settings = RuntimeSettings("fake", 1, streams, 1, 8, True, "CPU", 2)
    return Tuning(settings, (), (), saved=False, seconds=0.0)


def known_rate(fake: FakeArtifact, subject: Subject, *, streams: int, bound_s: float) -> float:
    """Returns the highest rate of the simulated queue."""
    drawn = sample_features(subject.features, 662, seed=0)
    service = [
        service_seconds(fake, one.length, opened=streams, threads=1) + OVERHEAD_S for one in drawn
    ]

    def p99(rate: float) -> float:
        free, latencies = [0.0] * streams, []
        for arrival, seconds in zip(arrivals(662, rate, seed=0), service, strict=True):
            first = int(np.argmin(free))
            free[first] = max(free[first], arrival) + seconds
            latencies.append(free[first] - arrival)
        return float(np.quantile(latencies, 0.99))

    capacity = streams / float(np.mean(service))
    shares = np.arange(0.1, 1.2, 0.01).tolist()
    return max(share * capacity for share in shares if p99(share * capacity) <= bound_s)


@pytest.mark.timing
def test_the_known_rate_is_found(subject: Subject, tmp_path: Path) -> None:
    fake = FakeArtifact(seconds=0.0025)
    folder = write_fake(tmp_path / "a", fake)
    expected = known_rate(fake, subject, streams=2, bound_s=0.02)

    found = serve_variant(
        Variant("A", folder, "fake"),
        subject,
        SETTINGS,
        tuned(2),
        bound_s=0.02,
        threads=2,
        scratch=tmp_path,
    )

    assert found.rate is not None
    assert expected * 0.6 <= found.rate <= expected * 1.1  # a busy machine is slower, never faster
    assert found.p50_s is not None
    assert found.p99_s is not None
    assert 0.0025 < found.p50_s < found.p99_s <= 0.02
    assert len(found.latencies_s) == found.requests == 662
    assert (found.streams, found.threads, found.bound_s) == (2, 1, 0.02)
    kept = [trial.rate for trial in found.trials if trial.kept]
    assert max(kept) == found.rate
    assert min(t.rate for t in found.trials if not t.kept) <= found.rate * 1.031


@pytest.mark.timing
def test_a_bound_below_the_service_time_is_given_up_soon(subject: Subject, tmp_path: Path) -> None:
    folder = write_fake(tmp_path / "a", FakeArtifact(seconds=0.003))

    found = serve_variant(
        Variant("A", folder, "fake"),
        subject,
        SETTINGS,
        None,
        bound_s=0.001,
        threads=2,
        scratch=tmp_path,
    )

    assert found.rate is None
    assert (found.p50_s, found.p99_s, found.latencies_s) == (None, None, ())
    assert (found.streams, found.threads) == (1, 2)
    assert all(trial.p99_s is None for trial in found.trials)


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
