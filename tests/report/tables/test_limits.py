"""The block on the machine's limits, in Markdown, HTML, JSON and the drawing."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from bertcompress.bench.roofs import Roofs
from bertcompress.report import charts
from bertcompress.report.markdown import markdown_of
from bertcompress.report.page import html_of
from bertcompress.report.report_files import read_report, summary_json, write_report
from bertcompress.report.schema import Report
from bertcompress.stats.intervals import Interval


class Text(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def text_of(report: Report) -> str:
    return " ".join(Text(html_of(report)).parts)


def test_the_limits_and_each_share_are_printed(limited_report: Report) -> None:
    text = markdown_of(limited_report)

    assert "## The machine's limits" in text
    assert "| matrix products, FP32 | 150 GFLOP/s | 300 GFLOP/s |" in text
    assert "| memory, read | 16 GB/s | 32 GB/s |" in text
    rows = {line.split(" | ")[0]: line for line in text.splitlines() if " integer) | " in line}
    assert set(rows) == {f"| {result.name}" for result in limited_report.results}
    assert "2.87 G (0% integer)" in rows["| FP32"]
    assert "2.87 G (95% integer)" in rows["| INT8"]
    # a batch of one sentence of 128 tokens: 2.87 GFLOP at 300 GFLOP/s against about 15.4 ms
    assert re.search(r"\| 6[0-3]% \(of compute\) \|", rows["| FP32"])
    assert "softmax, GELU and LayerNorm are not counted" in text


def test_the_page_has_the_block_and_the_drawing_its_dashed_lines(limited_report: Report) -> None:
    html = html_of(limited_report)
    drawing = next(
        d for d in re.findall(r'<svg viewBox[^>]*class="chart".*?</svg>', html) if "by-length" in d
    )

    assert "The share of its limit that each variant reaches" in text_of(limited_report)
    assert drawing.count('class="limit s') == len(limited_report.results)
    assert "Dashed: the least time" in html


def test_a_limit_above_all_times_stays_inside_the_drawing() -> None:
    ys = (Interval(1.0, 0.9, 1.1), Interval(2.0, 1.9, 2.1))
    one = charts.Curve("FP32", 0, (16.0, 128.0), ys, limits=(3.0, 40.0))
    words = charts.Words("by-length", "", "", "", "")

    drawing = charts.lines([one], words, x_text=str, y_text=str, doubling=False)

    dashed = re.search(r'points="([^"]*)" class="limit s0"', drawing)
    assert dashed is not None
    assert all(float(point.split(",")[1]) >= 34 for point in dashed[1].split())


def test_a_report_without_limits_has_no_block(report: Report) -> None:
    bare = replace(report, roofs=None)

    assert "limits" not in markdown_of(bare)
    assert "The machine's limits" not in text_of(bare)
    assert 'class="limit' not in html_of(bare)
    assert "Dashed" not in text_of(bare)


def test_what_could_not_be_measured_is_said(limited_report: Report) -> None:
    why = "matrix products: onnxruntime is not installed"
    assert limited_report.roofs is not None
    memory = tuple(roof for roof in limited_report.roofs.measured if roof.kind == "read")
    lacking = replace(limited_report, roofs=Roofs(2, memory, (why,)))

    text = markdown_of(lacking)

    assert f"Not available: {why}." in text
    assert "| matrix products, FP32 | not available | not available | — |" in text
    assert "% (of " not in text
    assert f"Not available: {why}." in text_of(lacking)
    assert "## The machine's limits" in markdown_of(replace(lacking, roofs=Roofs(2, (), (why,))))


def test_an_artifact_that_tells_no_operations_is_named(limited_report: Report) -> None:
    first, second, *others = limited_report.results
    lacking = replace(limited_report, results=(first, replace(second, operations=None), *others))

    text = markdown_of(lacking)

    assert "Operations not counted: pruned." in text
    assert "| pruned | — | — |" in text


def test_more_than_the_memory_allows_is_explained(limited_report: Report) -> None:
    roofs = limited_report.roofs
    assert roofs is not None
    slow = tuple(replace(r, rate=r.rate / 100) if r.kind == "read" else r for r in roofs.measured)

    text = markdown_of(replace(limited_report, roofs=replace(roofs, measured=slow)))

    assert "(of memory)" in text
    assert "the weights stayed in the cache" in text
    assert "the weights stayed in the cache" not in markdown_of(limited_report)


def test_limits_measured_on_a_disturbed_machine_are_doubted(limited_report: Report) -> None:
    roofs = limited_report.roofs
    assert roofs is not None

    def with_fp32(rate: float) -> str:
        changed = tuple(
            replace(r, rate=rate) if (r.kind, r.threads) == ("fp32", 2) else r
            for r in roofs.measured
        )
        return markdown_of(replace(limited_report, roofs=replace(roofs, measured=changed)))

    assert "The limits are too low" not in with_fp32(3.0e11)
    assert "The limits are too low" in with_fp32(1.4e11)  # one thread has 1.5e11
    assert "The limits are too low" in with_fp32(1.6e11)  # large batches do more


def test_limits_and_operations_survive_the_file(limited_report: Report, tmp_path: Path) -> None:
    write_report(limited_report, tmp_path)

    assert read_report(tmp_path) == limited_report
    variants = summary_json(limited_report)["variants"]
    assert isinstance(variants, list)
    assert isinstance(variants[0], dict)
    assert variants[0]["limits"][0]["workload"] == "own-lengths"  # type: ignore[index, call-overload]  # JSON
