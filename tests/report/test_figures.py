"""What is drawn of a report: all that it has data for, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from bertcompress.bench.settings import BenchSettings
from bertcompress.report.figures import figures_of
from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize

MakeReport = Callable[..., Report]


def headings(report: Report) -> list[str]:
    return [figure.heading for figure in figures_of(report, summarize(report))]


def test_each_drawing_has_its_heading_and_a_caption(report: Report) -> None:
    figures = figures_of(report, summarize(report))

    assert len(figures) == 8
    assert len({figure.heading for figure in figures}) == 8
    assert all(figure.caption and figure.svg.startswith("<svg ") for figure in figures)


def test_without_timings_only_accuracy_is_drawn(report: Report) -> None:
    results = tuple(replace(result, measurements=()) for result in report.results)
    left = headings(replace(report, results=results, again=None))

    assert "Accuracy against file size" in left
    assert set(left) < set(headings(report))
    assert not any("atency" in heading for heading in left)


def test_without_accuracy_nothing_is_drawn_against_it(report: Report) -> None:
    results = tuple(replace(it, accuracy=None, paired=None) for it in report.results)
    left = headings(replace(report, results=results))

    assert left
    assert not any("ccuracy" in heading for heading in left)


@pytest.mark.parametrize("count", [1, 2, 12])
def test_any_number_of_variants_is_drawn_in_a_series_each(
    count: int, make_report: MakeReport
) -> None:
    rows = tuple((f"variant {i}", 1.0 + 0.3 * i, 90.0 - i, 0.885) for i in range(count))
    report = make_report(rows, settings=BenchSettings(rounds=2, requests=20))

    [against] = [
        figure
        for figure in figures_of(report, summarize(report))
        if figure.heading == "Accuracy against file size"
    ]

    whiskers = re.findall(r"whisker s(\d+)", against.svg)
    assert len(whiskers) == 2 * count
