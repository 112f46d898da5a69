"""Figures as text."""

from __future__ import annotations

import doctest

import pytest

from bertcompress import formatting as units
from bertcompress.data import labels, tag_scheme
from bertcompress.formatting import bytes_text, change_text, p_text, rate_text, seconds_text
from bertcompress.report import svg
from bertcompress.stats import intervals as statistics
from bertcompress.stats.intervals import Interval
from bertcompress.tasks import entity_scores


@pytest.mark.parametrize("module", [entity_scores, labels, statistics, svg, tag_scheme, units])
def test_the_worked_examples_hold(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]  # a module

    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (seconds_text(2.0), "2.00 s"),
        (seconds_text(0.0123), "12.3 ms"),
        (seconds_text(0.234), "234 ms"),
        (bytes_text(1_500), "1.5 kB"),
        (bytes_text(25_276_514_304), "25.28 GB"),
        (rate_text(1234.5), "1,234"),
        (rate_text(12.34), "12.3"),
        (p_text(0.0001), "p < 0.001"),
        (change_text("accuracy", 0.000001), "±0.00 points"),
        (change_text("accuracy", -0.000001), "±0.00 points"),
        (units.metric_interval("pearson", Interval(0.9, 0.88, 0.92)), "0.8800 to 0.9200"),
        (units.metric_name("f1_macro"), "macro F1"),
        (units.metric_name("own_metric"), "own metric"),
    ],
)
def test_figures_are_written_as_people_read_them(written: str, expected: str) -> None:
    assert written == expected
