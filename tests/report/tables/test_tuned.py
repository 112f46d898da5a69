"""What people read of best settings and requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bertcompress.bench.request_rate import ServerResult, Trial
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.tuning import CandidateRate, ThreadLatency, Tuning
from bertcompress.inference.best_settings import RuntimeSettings
from bertcompress.report.markdown import markdown_of
from bertcompress.report.page import html_of
from bertcompress.report.schema import Measurement, Report, VariantResult
from bertcompress.report.summary import summarize
from bertcompress.report.tables.tuned import best_section, candidates_table, requests_section

FEW = BenchSettings(rounds=2, requests=20)


def with_best(result: VariantResult, rate: float, *, saved: bool) -> VariantResult:
    settings = RuntimeSettings("ort-cpu", 1, 2, 1, 8, True, "AMD EPYC", 2)
    tried = (
        CandidateRate(2, 1, 8, True, rate, rate * 25, 0.8, 3),
        CandidateRate(1, 2, 32, False, rate / 2, rate * 12.5, 0.1, 1),
    )
    tuning = Tuning(settings, (ThreadLatency(1, 0.004, 48),), tried, saved, 6.5)
    own = result.measurements[0]
    single = replace(own, name="own-lengths at best", scenario="best-single-stream", steady=())
    passes = Measurement(
        name="offline at best",
        scenario="best-offline",
        batch_size=8,
        sequence_length=None,
        rounds=((256 / rate,) * 3,) * 2,
        sentences=((256,) * 3,) * 2,
        tokens=((6400,) * 3,) * 2,
        padding_fraction=0.02,
    )
    return replace(
        result,
        measurements=(*result.measurements, single, passes),
        tuning=tuning,
        best_peak_bytes=250_000_000,
    )


@pytest.fixture
def tuned(make_report: Callable[..., Report]) -> Report:
    report = make_report(settings=FEW)
    results = [
        with_best(result, 1400.0 + 100 * i, saved=i != 1) for i, result in enumerate(report.results)
    ]
    return replace(report, results=tuple(results))


def served(result: VariantResult, rate: float | None) -> VariantResult:
    p50, p99 = (None, None) if rate is None else (0.00412, 0.01391)
    trials = (Trial(210.0, False, None), Trial(52.5, rate is not None, p99))
    samples = () if rate is None else (0.00412,)
    return replace(result, server=ServerResult(0.0146, 2, 1, 662, rate, p50, p99, samples, trials))


def test_both_reports_say_the_best_settings_and_their_rates(tuned: Report) -> None:
    page, text = html_of(tuned), markdown_of(tuned)

    for document in (page, text):
        assert "Each at its best settings" in document
        assert "2 streams × 1 thread, batch 8" in document
        assert "1,400" in document
        assert "35,000" in document
        assert "250.0 MB" in document
        assert "predict and evaluate use them" in document
        assert "Those of pruned stand in this report only: its folder has no mani" in document
    assert "1 stream × 2 threads, batch 32 as they come" in page
    assert page.count("<details><summary>All settings that were tried") == 1


def test_the_highest_rate_of_the_first_table_is_the_tuned_one(tuned: Report) -> None:
    best = summarize(tuned).base.best_throughput

    assert best is not None
    assert best.sentences_per_s.estimate == pytest.approx(1400.0)
    assert best.tokens_per_s == pytest.approx(35_000.0)


def test_settings_found_on_a_busy_machine_say_so(tuned: Report) -> None:
    first = tuned.results[1]
    assert first.tuning is not None
    best, other = first.tuning.candidates
    unsteady = replace(first.tuning, candidates=(replace(best, turns=(100.0, 130.0)), other))
    results = (tuned.results[0], replace(first, tuning=unsteady), *tuned.results[2:])

    text = markdown_of(replace(tuned, results=results))

    assert "only: two turns of the best differed by 30%, so the machine was busy." in text


def test_tried_settings_are_shares_of_the_best(tuned: Report) -> None:
    tuning = tuned.results[0].tuning
    assert tuning is not None

    rows = candidates_table("FP32", tuning).rows

    assert [row[3].text for row in rows] == ["100%", "50%"]
    assert rows[0][0].text == "2 streams × 1 thread, batch 8"


def test_requests_have_a_table_and_their_rule(make_report: Callable[..., Report]) -> None:
    report = make_report(settings=FEW)
    first, second, *others = report.results
    report = replace(report, results=(served(first, 131.2), served(second, None), *others))

    page, text = html_of(report), markdown_of(report)

    for document in (page, text):
        assert "Requests that arrive at random" in document
        assert "13.9" in document
        assert "not even 52.5" in document
        assert "stays under 14.6 ms" in document
        assert "662" in document


def test_without_them_there_is_no_block(make_report: Callable[..., Report]) -> None:
    report = make_report(settings=FEW)

    assert best_section(summarize(report)).blocks == ()
    assert requests_section(summarize(report)).blocks == ()
    assert "best settings" not in markdown_of(report)
