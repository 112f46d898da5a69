"""The section on what pruning removed."""

from __future__ import annotations

import re
from dataclasses import replace

from bertcompress.passes.prune.removed import Explanation
from bertcompress.report.page import STYLE_PATH, html_of
from bertcompress.report.page_explanation import explanation_section
from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize


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
    html = explanation_section(summarize(explained_report)).markup

    assert "<summary>The figures of the map</summary>" in html
    assert '<td><span class="value">0.001</span><small>removed</small></td>' in html
    row = "".join(f"<td>{cell}</td>" for cell in ("2 of 8", "0.003", "0.01", "0.03", "0.4"))
    assert f'<th scope="row">1</th>{row}' in html
    assert "what each removed piece cost, KL, nats" in html
    pieces = "".join(f"<td>{cell}</td>" for cell in ("1 of 3", "0.001", "0.0012"))
    assert f'<th scope="row">layer 0, heads</th>{pieces}' in html


def test_a_report_that_pruned_nothing_has_no_section(report: Report) -> None:
    assert explanation_section(summarize(report)).markup == ""


def test_costs_that_nobody_asked_for_leave_their_tables_out(
    explained_report: Report, explanation: Explanation
) -> None:
    bare = replace(
        explanation, head_costs=((), ()), heads_kept=((), ()), ffn_costs=((), ()), pieces=()
    )
    results = tuple(replace(one, explanation=bare) for one in explained_report.results)

    html = explanation_section(summarize(replace(explained_report, results=results))).markup

    assert "cost of removing" not in html
    assert ": neurons</span></caption>" in html
    assert "in truth" not in html


def test_every_step_of_colour_is_styled_for_light_and_dark() -> None:
    style = STYLE_PATH.read_text(encoding="utf-8")

    for step in range(8):
        assert len(re.findall(rf"--h{step}: #", style)) == 2
        assert f".h{step} {{ --c: var(--h{step}); }}" in style


def test_the_colours_get_darker_in_light_and_lighter_in_dark() -> None:
    style = STYLE_PATH.read_text(encoding="utf-8")

    found = [re.findall(rf"--h{step}: #(\w+)", style) for step in range(8)]
    light, dark = ([luminance(pair[mode]) for pair in found] for mode in (0, 1))

    assert light == sorted(light, reverse=True)
    assert dark == sorted(dark)


def luminance(colour: str) -> float:
    """Returns a colour's relative luminance. Source: WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
