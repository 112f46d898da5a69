"""The tables of times and rates."""

from __future__ import annotations

from dataclasses import replace

from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize
from bertcompress.report.tables.blocks import Section, Table
from bertcompress.report.tables.timings import (
    cost_section,
    lengths_section,
    percentiles_section,
    throughput_section,
)


def tables(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def test_percentiles_and_lengths_are_for_text_only(report: Report) -> None:
    summary = summarize(report)

    sections = (percentiles_section(summary), lengths_section(summary))

    assert all(section.where == "text" and section.blocks for section in sections)
    assert all(len(tables(section)[0].rows) == len(report.results) for section in sections)


def test_starts_stand_beside_the_rates_in_text_and_in_a_table_of_their_own_on_the_page(
    report: Report,
) -> None:
    summary = summarize(report)
    (text,) = tables(throughput_section(summary))
    rates, starts = tables(cost_section(summary))

    assert [column.name for column in text.only("text").columns][-2:] == ["load", "first answer"]
    assert "load" not in [column.title for column in rates.only("page").columns]
    assert starts.columns[1].title == "load"


def test_without_timings_only_starts_and_sizes_are_left(report: Report) -> None:
    results = tuple(replace(result, measurements=()) for result in report.results)
    summary = summarize(replace(report, results=results, again=None))

    assert percentiles_section(summary).blocks == ()
    assert lengths_section(summary).blocks == ()
    assert tables(throughput_section(summary)) == []
    assert len(tables(cost_section(summary))) == 1
