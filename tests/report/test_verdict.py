"""What is shipped, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bertcompress.bench.settings import BenchSettings
from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize

Rows = tuple[tuple[str, float, float, float], ...]
MakeReport = Callable[..., Report]


def test_the_fastest_within_the_accepted_loss_is_shipped(report: Report) -> None:
    decision = summarize(report).verdict

    assert decision.headline == "Ship pruned + INT8."
    assert "times as fast" in decision.reasons[0]
    assert "20.3 MB instead of 90.9 MB" in decision.reasons[1]


def test_a_faster_variant_that_loses_too_much_is_not_shipped(make_report: MakeReport) -> None:
    rows: Rows = (("FP32", 1.0, 90.9, 0.885), ("fast", 4.0, 20.0, 0.80), ("INT8", 2.0, 23.0, 0.885))

    decision = summarize(make_report(rows)).verdict

    assert decision.ship == "INT8"
    assert decision.others[0].startswith("fast beats FP32 (")
    assert ") and INT8 in speed and loses more accuracy than accepted (−" in decision.others[0]


def test_a_slower_small_file_is_called_a_format_for_size(report: Report) -> None:
    others = summarize(report).verdict.others

    (line,) = [line for line in others if line.startswith("INT4")]
    assert "slower than FP32 (0.7" in line
    assert "17.2 MB it is a format for size, not for speed" in line


def test_a_slower_variant_of_the_same_size_is_called_slower(make_report: MakeReport) -> None:
    rows: Rows = (("FP32", 1.0, 90.9, 0.885), ("slow", 0.7, 90.0, 0.885))

    decision = summarize(make_report(rows)).verdict

    assert decision.headline == "Keep FP32."
    assert decision.others[0].startswith("slow is slower than FP32 (0.")
    assert "within 1 point of its accuracy" in decision.reasons[0]


def test_a_speed_up_inside_the_noise_is_not_believed(make_report: MakeReport) -> None:
    rows: Rows = (("FP32", 1.0, 90.9, 0.885), ("same", 1.0, 90.0, 0.885))

    decision = summarize(make_report(rows)).verdict

    assert decision.ship == "FP32"
    assert "is not shown to differ from FP32 in speed" in decision.others[0]


def test_a_small_file_at_the_same_speed_is_shipped_for_its_size(make_report: MakeReport) -> None:
    rows: Rows = (("FP32", 1.0, 90.9, 0.885), ("packed", 1.0, 30.0, 0.885))

    decision = summarize(make_report(rows)).verdict

    assert decision.headline == "Ship packed for its size."
    assert "not shown to be faster (" in decision.reasons[0]
    assert "times" not in decision.reasons[0]
    assert any("is not proven" in doubt for doubt in decision.doubts)


def test_equally_fast_variants_are_decided_by_size(make_report: MakeReport) -> None:
    rows: Rows = (
        ("FP32", 1.0, 90.9, 0.885),
        ("big", 2.0, 50.0, 0.885),
        ("small", 2.0, 20.0, 0.885),
    )

    assert summarize(make_report(rows)).verdict.ship == "small"


def test_what_is_not_proven_is_said(make_report: MakeReport) -> None:
    settings = BenchSettings(rounds=1, requests=40)
    report = make_report(settings=settings)
    noisy = replace(report, notes=("other work was running when it started: load 3.0 on 2 CPUs",))

    doubts = " ".join(summarize(noisy).verdict.doubts)

    assert "p90 (24 more), p95 (90 more), p99 (622 more), p99.9 (6,596 more)" in doubts
    assert "One round only" in doubts
    assert "The machine was not quiet: other work" in doubts
    assert "mean nothing here" in doubts


def test_accuracy_within_noise_is_called_that(report: Report) -> None:
    doubts = " ".join(summarize(report).verdict.doubts)

    assert "is not shown by 1,821 examples" in doubts
    assert "A loss of more than 1 point is not excluded" in doubts


def test_without_accuracy_the_verdict_says_so(report: Report) -> None:
    bare = tuple(replace(result, accuracy=None, paired=None) for result in report.results)

    decision = summarize(replace(report, results=bare)).verdict

    assert "Accuracy was not measured." in decision.doubts


def test_a_single_variant_is_kept(make_report: MakeReport) -> None:
    decision = summarize(make_report((("FP32", 1.0, 90.9, 0.885),))).verdict

    assert decision.sentences[:2] == ("Keep FP32.", "Nothing was measured beside it.")


def test_unsteady_variants_are_named(report: Report) -> None:
    first = replace(report.results[0], notes=("its latency was not steady",))

    decision = summarize(replace(report, results=(first, *report.results[1:]))).verdict

    assert "FP32: its latency was not steady." in decision.doubts


def test_the_resolution_is_how_far_the_baseline_is_from_itself(report: Report) -> None:
    summary = summarize(report)

    assert summary.resolution is not None
    assert summary.again is not None
    assert 0.0 < summary.resolution < 0.1
    assert summary.resolution >= abs(summary.again.estimate - 1.0)
    assert summarize(replace(report, again=None)).resolution is None
