"""The order of a report's sections."""

from __future__ import annotations

from dataclasses import replace

from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize
from bertcompress.report.tables.sections import sections_of


def test_the_comparison_comes_first_and_the_command_last(report: Report) -> None:
    names = [section.identifier for section in sections_of(report, summarize(report))]

    assert names[0] == "variants"
    assert names[-2:] == ["machine", "repeat"]
    assert len(names) == len(set(names))


def test_what_was_not_measured_has_no_section(report: Report) -> None:
    sections = sections_of(replace(report, command=""), summarize(report))

    assert all(section.blocks for section in sections)
    assert {"best", "requests", "pruned", "precision", "repeat"}.isdisjoint(
        section.identifier for section in sections
    )
