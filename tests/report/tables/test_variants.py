"""The table of all variants."""

from __future__ import annotations

from dataclasses import replace

from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize
from bertcompress.report.tables.variants import summary_table


def test_the_shipped_variant_is_set_off_and_has_its_badge(report: Report) -> None:
    summary = summarize(report)

    table = summary_table(report, summary)

    assert table.chosen is not None
    assert table.rows[table.chosen][0].text == summary.verdict.ship
    assert [row[0].badge for row in table.rows].count("ship") == 1


def test_intervals_are_notes_and_the_baseline_is_called_that(report: Report) -> None:
    table = summary_table(report, summarize(report)).only("text")

    base, other, *_ = table.rows
    names = [column.name for column in table.columns]
    assert names[2:5] == ["change (paired)", "p50 ms, one sentence", "speed-up"]
    assert (base[2].text, base[4].text) == ("baseline", "baseline")
    assert " to " in other[4].note
    assert other[4].kind in ("good", "bad", "level")


def test_what_was_not_measured_is_a_dash(report: Report) -> None:
    results = tuple(
        replace(result, measurements=(), accuracy=None, paired=None, memory=())
        for result in report.results
    )
    bare = replace(report, results=results, again=None)

    rows = summary_table(bare, summarize(bare)).only("text").rows

    assert [cell.text for cell in rows[1][1:6]] == ["—"] * 5
