"""The two loads, on fakes of known service time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bertcompress.bench.variant import Subject
from bertcompress.bench.worker.load import arrivals, poisson_run, spread, steady_rate
from bertcompress.bench.workload import all_at_once, single_stream
from bertcompress.errors import RunError
from bertcompress.runtimes.base import Arrays, FakeRuntime

pytestmark = pytest.mark.timing


def sleeper(seconds: float, per_token: float = 0.0) -> FakeRuntime:
    def answer(feed: Arrays) -> dict[str, NDArray[np.generic]]:
        time.sleep(seconds + per_token * float(np.asarray(feed["attention_mask"]).sum()))
        return {"logits": np.zeros((len(feed["input_ids"]), 2), dtype=np.float32)}

    return FakeRuntime(answer, outputs=("logits",))


def queue_latencies(times: Sequence[float], service_s: float, servers: int) -> list[float]:
    """Returns what a queue of fixed service time must do: each request takes the first free."""
    free, latencies = [0.0] * servers, []
    for arrival in times:
        first = int(np.argmin(free))
        free[first] = max(free[first], arrival) + service_s
        latencies.append(free[first] - arrival)
    return latencies


def test_the_rate_is_what_the_sleeps_make_it(subject: Subject) -> None:
    feeds = single_stream(subject.features, pad_token_id=0, name="own").feeds

    one = steady_rate([sleeper(0.004)], feeds, slice_s=0.2)
    two = steady_rate([sleeper(0.004)] * 2, feeds, slice_s=0.2)

    assert 0.6 / 0.004 <= one.sentences_per_s <= 1 / 0.004
    assert two.sentences_per_s / one.sentences_per_s == pytest.approx(2.0, rel=0.3)
    mean = np.mean([feature.length for feature in subject.features])
    assert one.tokens_per_s / one.sentences_per_s == pytest.approx(float(mean))
    assert one.seconds >= 0.2


def test_a_slice_shorter_than_a_batch_still_runs_two_on_each_stream(subject: Subject) -> None:
    feeds = single_stream(subject.features, pad_token_id=0, name="own").feeds

    rate = steady_rate([sleeper(0.01), sleeper(0.01)], feeds, slice_s=0.001)

    assert rate.calls == 4
    assert rate.seconds == pytest.approx(0.02, rel=0.5)


def test_which_batches_fall_into_the_slice_matters_little(subject: Subject) -> None:
    """Time goes with tokens, so a slice of few batches must say what all of them would."""
    workload = all_at_once(subject.features, batch_size=4, sort_by_length=True, pad_token_id=0)

    short = steady_rate([sleeper(0.0, 0.00005)], workload.feeds, slice_s=0.005)
    long = steady_rate([sleeper(0.0, 0.00005)], workload.feeds, slice_s=0.2)

    assert short.calls < len(workload.feeds) < long.calls
    assert short.sentences_per_s == pytest.approx(long.sentences_per_s, rel=0.25)


def test_a_failing_runtime_ends_the_load(subject: Subject) -> None:
    def fail(feed: Arrays) -> dict[str, NDArray[np.generic]]:
        raise RunError("no kernel")

    broken = FakeRuntime(fail, outputs=("logits",))
    feeds = single_stream(subject.features[:3], pad_token_id=0, name="own").feeds

    with pytest.raises(RunError, match="no kernel"):
        steady_rate([broken], feeds, slice_s=0.01)
    with pytest.raises(RunError, match="no kernel"):
        poisson_run([broken], feeds, times=[0.0, 0.001], bound_s=1.0, allowed=2)


@given(st.lists(st.integers(1, 500), min_size=1, max_size=200))
def test_every_beginning_of_the_order_is_a_fair_sample(weights: list[int]) -> None:
    order = spread(weights)

    assert sorted(order) == list(range(len(weights)))
    ranks = np.argsort(np.argsort(weights, kind="stable"))[order] / len(weights)
    for count in (4, 8, 16, 32):
        if count <= len(weights):
            assert abs(float(np.mean(ranks[:count])) - 0.5) <= 0.5 / count**0.5


def test_arrivals_are_a_poisson_process_and_scale_with_the_rate() -> None:
    times = arrivals(20_000, 50.0, seed=3)

    gaps = np.diff(times)
    assert float(gaps.mean()) == pytest.approx(1 / 50, rel=0.03)
    assert float(gaps.std()) == pytest.approx(float(gaps.mean()), rel=0.03)
    np.testing.assert_allclose(arrivals(20_000, 100.0, seed=3) * 2, times)
    assert not np.allclose(arrivals(20_000, 50.0, seed=4), times)


@pytest.mark.parametrize("servers", [1, 2])
def test_requests_wait_in_one_queue_for_the_first_free_stream(
    subject: Subject, servers: int
) -> None:
    feeds = single_stream(subject.features, pad_token_id=0, name="own").feeds
    service_s = 0.004
    times = arrivals(150, 0.7 * servers / service_s, seed=1).tolist()
    expected = queue_latencies(times, service_s, servers)

    done = poisson_run(
        [sleeper(service_s) for _ in range(servers)], feeds, times=times, bound_s=9.0, allowed=0
    )

    assert done.whole
    assert len(done.latencies_s) == 150
    assert min(done.latencies_s) >= service_s
    assert float(np.median(done.latencies_s)) >= float(np.median(expected)) * 0.99
    assert float(np.median(done.latencies_s)) <= float(np.median(expected)) * 2
    assert max(done.latencies_s) >= max(expected) * 0.99


def test_latency_runs_from_the_arrival_not_from_the_start(subject: Subject) -> None:
    feeds = single_stream(subject.features[:2], pad_token_id=0, name="own").feeds

    done = poisson_run([sleeper(0.01)], feeds, times=[0.0] * 5, bound_s=9.0, allowed=0)

    assert sorted(done.latencies_s) == list(done.latencies_s)
    assert done.latencies_s[-1] >= 0.05


def test_a_hopeless_run_is_stopped(subject: Subject) -> None:
    feeds = single_stream(subject.features[:2], pad_token_id=0, name="own").feeds
    runtime = sleeper(0.002)

    done = poisson_run([runtime], feeds, times=[0.0] * 500, bound_s=0.001, allowed=7)

    assert not done.whole
    assert runtime.calls == 8
    assert threading.active_count() < 20
