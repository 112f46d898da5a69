"""What pruning removed: the map in characters, its figures and pieces."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bertcompress.passes.prune.removed import Explanation
from bertcompress.report.page import html_of
from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize
from bertcompress.report.tables.blocks import Table
from bertcompress.report.tables.pruning import (
    ffn_text,
    how_to_read,
    pieces_table,
    pruning_section,
    removed_text,
    text_map,
)


def test_the_map_has_a_line_for_each_layer_the_first_at_the_top(explanation: Explanation) -> None:
    assert text_map(explanation) == [
        "layer  heads 0-2    kept  neurons     kept",
        "    0  #.#        2 of 3  ########  8 of 8",
        "    1  ###        3 of 3  ##......  2 of 8",
    ]


@pytest.mark.parametrize(
    ("before", "after", "drawn"),
    [
        (1536, 1536, "########"),
        (1536, 1535, "#######."),
        (1536, 768, "####...."),
        (1536, 1, "#......."),
        (1536, 0, "........"),
        (0, 0, ""),
    ],
)
def test_only_all_looks_like_all_and_only_none_like_none(
    before: int, after: int, drawn: str, explanation: Explanation
) -> None:
    one = replace(explanation, ffn_before=(before, 8), ffn_after=(after, 8))

    assert ffn_text(one, 0) == drawn


def test_layers_without_heads_are_mapped(explanation: Explanation) -> None:
    bare = replace(explanation, head_costs=((), ()), heads_kept=((), ()), pieces=())

    assert text_map(bare)[1] == "    0         0 of 0  ########  8 of 8"
    assert pieces_table("bare", bare).rows == ()


def test_pieces_say_what_they_cost_by_the_score_and_in_truth(explanation: Explanation) -> None:
    table = pieces_table("pruned", explanation)

    assert texts(table) == [
        ["layer 0, heads", "1 of 3", "0.001", "0.0012"],
        ["layer 1, neurons", "6 of 8", "0.03", "—"],
    ]
    assert removed_text(explanation) == "1 of 6 heads and 6 of 16 neurons were removed"
    assert "KL, nats" in how_to_read(explanation)


def test_each_pruning_has_a_map_in_a_box_that_scrolls_with_the_keys(
    explained_report: Report,
) -> None:
    html = html_of(explained_report)

    box = r'<div class="scroll" role="region" tabindex="0" aria-label="Map of ([^"]+)"><svg'
    assert re.findall(box, html) == ["pruned, pruned + INT8"]
    assert html.count('class="chart fixed"') == 1
    assert "url(" not in html
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_the_figures_of_the_map_are_there_as_tables(explained_report: Report) -> None:
    html = html_of(explained_report)

    assert "<summary>The figures of the map</summary>" in html
    assert "<td>0.001<small>removed</small></td>" in html
    row = "".join(f"<td>{cell}</td>" for cell in ("2 of 8", "0.003", "0.01", "0.03", "0.4"))
    assert f'<th scope="row">1</th>{row}' in html
    assert "what each removed piece cost, KL, nats" in html
    pieces = "".join(f"<td>{cell}</td>" for cell in ("1 of 3", "0.001", "0.0012"))
    assert f'<th scope="row">layer 0, heads</th>{pieces}' in html


def test_a_report_that_pruned_nothing_has_no_section(report: Report) -> None:
    assert pruning_section(summarize(report)).blocks == ()


def test_costs_that_nobody_asked_for_leave_their_tables_out(
    explained_report: Report, explanation: Explanation
) -> None:
    bare = replace(
        explanation, head_costs=((), ()), heads_kept=((), ()), ffn_costs=((), ()), pieces=()
    )
    results = tuple(replace(one, explanation=bare) for one in explained_report.results)

    html = html_of(replace(explained_report, results=results))

    assert "cost of removing" not in html
    assert ": neurons</span></caption>" in html
    assert "in truth" not in html


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]
