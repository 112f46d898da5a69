"""Who beats whom."""

from __future__ import annotations

from collections.abc import Callable

from bertcompress.report.schema import Report
from bertcompress.report.summary import dominates, front, latency_cost, size_cost, summarize

MakeReport = Callable[..., Report]


def test_what_is_slower_and_no_better_is_dominated(make_report: MakeReport) -> None:
    rows = (("FP32", 1.0, 90.0, 0.885), ("INT8", 2.0, 20.0, 0.885), ("slow", 0.5, 95.0, 0.885))
    base, fast, slow = summarize(make_report(rows)).variants

    assert dominates(fast, slow, latency_cost)
    assert not dominates(slow, fast, latency_cost)
    assert front((base, fast, slow), latency_cost) == ["INT8"]
    assert front((base, fast, slow), size_cost) == ["INT8"]


def test_a_lead_inside_the_noise_dominates_nobody(make_report: MakeReport) -> None:
    rows = (("FP32", 1.0, 90.0, 0.885), ("twin", 1.0, 90.0, 0.885))

    assert front(summarize(make_report(rows)).variants, latency_cost) == ["FP32", "twin"]


def test_fast_and_worse_stands_beside_slow_and_better(make_report: MakeReport) -> None:
    rows = (("FP32", 1.0, 90.0, 0.885), ("fast", 3.0, 20.0, 0.80))

    assert front(summarize(make_report(rows)).variants, latency_cost) == ["FP32", "fast"]
