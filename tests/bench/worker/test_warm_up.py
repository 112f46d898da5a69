"""Warm-up until steady."""

from __future__ import annotations

from collections.abc import Callable

from bertcompress.bench.variant import Subject
from bertcompress.bench.worker.warm_up import is_steady, warm_up
from bertcompress.bench.workload import Feed, single_stream


def falling(start: float, factor: float) -> Callable[[Feed], float]:
    latency = [start]

    def run(feed: Feed) -> float:
        del feed
        latency[0] = max(0.001, latency[0] * factor)
        return latency[0]

    return run


def test_warm_up_goes_on_until_the_latency_is_steady(subject: Subject) -> None:
    feeds = single_stream(subject.features[:3], pad_token_id=0, name="own").feeds

    result = warm_up(falling(0.02, 0.97), feeds, minimum_s=0.0, maximum_s=100.0)

    assert result.steady
    assert result.runs > 100


def test_warm_up_lasts_its_minimum(subject: Subject) -> None:
    feeds = single_stream(subject.features[:3], pad_token_id=0, name="own").feeds

    result = warm_up(lambda feed: 0.001, feeds, minimum_s=0.5, maximum_s=100.0)

    assert result.steady
    assert result.seconds >= 0.5


def test_a_machine_that_never_settles_is_not_waited_for(subject: Subject) -> None:
    feeds = single_stream(subject.features[:3], pad_token_id=0, name="own").feeds
    latency = [0.001]

    def growing(feed: Feed) -> float:
        del feed
        latency[0] *= 1.02
        return latency[0]

    result = warm_up(growing, feeds, minimum_s=0.0, maximum_s=2.0)

    assert not result.steady
    assert result.seconds >= 2.0


def test_every_shape_is_met_once(subject: Subject) -> None:
    feeds = single_stream(subject.features, pad_token_id=0, name="own").feeds
    seen = []

    def run(feed: Feed) -> float:
        seen.append(feed["input_ids"].shape)
        return 0.01

    warm_up(run, feeds, minimum_s=0.0, maximum_s=10.0)

    assert set(seen) == {feed["input_ids"].shape for feed in feeds}


def test_steady_needs_three_windows() -> None:
    assert not is_steady([1.0, 1.0])
    assert is_steady([9.0, 1.0, 1.04, 1.02])
    assert not is_steady([1.0, 1.0, 1.06])
