"""Answers that changed, classes, and how each variant was made."""

from __future__ import annotations

from dataclasses import replace

from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize
from bertcompress.report.tables.blocks import Fold, Table
from bertcompress.report.tables.evidence import answers_section, classes_section, history_section


def test_changed_answers_are_one_table_in_text_and_a_fold_each_on_the_page(report: Report) -> None:
    section = answers_section(report, summarize(report))

    text, page = section.only("text"), section.only("page")
    assert section.heading == f"Answers that changed from {report.baseline}"
    assert all(isinstance(block, Table) for block in text)
    folds = [block for block in page if isinstance(block, Fold)]
    rows = [row for fold in folds for table in fold.tables for row in table.rows]
    assert rows
    assert all(row[2].is_right is not None and row[3].is_right is not None for row in rows)


def test_answers_of_peers_are_counted_and_not_shown(report: Report) -> None:
    results = tuple(
        result if result.name == report.baseline else replace(result, kind="peer")
        for result in report.results
    )
    peers = replace(report, results=results)

    blocks = answers_section(peers, summarize(peers)).blocks

    assert len(blocks) == 1


def test_each_step_s_tables_are_folded_and_counts_have_bars(report: Report) -> None:
    folds = [b for b in history_section(summarize(report)).blocks if isinstance(b, Fold)]

    cells = [cell for fold in folds for t in fold.tables for row in t.rows for cell in row]
    assert any(cell.bar for cell in cells)
    assert all(0 <= cell.bar <= 60 for cell in cells)


def test_without_answers_and_history_there_are_no_sections(report: Report) -> None:
    results = tuple(
        replace(result, accuracy=None, paired=None, history=()) for result in report.results
    )
    bare = replace(report, results=results)
    summary = summarize(bare)

    assert answers_section(bare, summary).blocks == ()
    assert classes_section(bare, summary).blocks == ()
    assert history_section(summary).blocks == ()
