"""A fake of known service time under requests: the rate that arithmetic gives is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bertcompress.bench.request_rate import serve_variant
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tuning import Tuning
from bertcompress.bench.variant import Subject, Variant
from bertcompress.bench.worker.fake import FakeArtifact, service_seconds, write_fake
from bertcompress.bench.worker.load import arrivals
from bertcompress.bench.workload import sample_features
from bertcompress.inference.best_settings import RuntimeSettings

pytestmark = pytest.mark.timing

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
