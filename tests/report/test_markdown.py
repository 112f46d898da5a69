"""The Markdown of a report."""

from __future__ import annotations

from bertcompress.report.markdown import markdown_of
from bertcompress.report.schema import Report


def test_the_table_has_a_row_for_each_variant(report: Report) -> None:
    text = markdown_of(report)

    assert text.startswith("# Ship pruned + INT8.\n")
    for result in report.results:
        assert f"\n| {result.name} | 8" in text
    assert "| baseline |" in text
    assert "Tokenizing one example takes 0.12 ms more" in text


def test_every_table_has_equal_rows(report: Report) -> None:
    block: list[int] = []
    for line in [*markdown_of(report).splitlines(), ""]:
        if line.startswith("|"):
            block.append(line.replace("\\|", "").count("|"))
            continue
        assert len(set(block)) <= 1
        block = []


def test_each_pruning_is_mapped_once(explained_report: Report) -> None:
    text = markdown_of(explained_report)

    assert text.count("### pruned, pruned + INT8\n") == 1
    assert "\n    0  #.#        2 of 3  ########  8 of 8\n" in text
    assert "| layer 1, neurons | 6 of 8 | 0.03 | — |" in text
    assert "All costs: KL, nats." in text


def test_a_report_that_pruned_nothing_has_no_map(report: Report) -> None:
    assert "What pruning removed" not in markdown_of(report)


def test_the_same_report_gives_the_same_text(report: Report) -> None:
    assert markdown_of(report) == markdown_of(report)
