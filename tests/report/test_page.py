"""The page: well formed, self-contained, accessible, honest."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import pytest

from bertcompress.bench.settings import BenchSettings
from bertcompress.report.markdown import markdown_of
from bertcompress.report.page import STYLE_NAME, html_of
from bertcompress.report.schema import Report

VOID = {"meta", "br", "link", "img"}
MakeReport = Callable[..., Report]


class Page(HTMLParser):
    """Collects what the tests ask about, and fails where tags do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if attributes.get("id"):
            self.ids.append(str(attributes["id"]))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return html_of(report)


def test_the_page_is_well_formed_and_says_its_language(html: str) -> None:
    page = parsed(html)

    assert ("html", {"lang": "en"}) in page.tags
    assert html.startswith("<!doctype html>")


def test_nothing_is_fetched_and_nothing_runs(html: str) -> None:
    page = parsed(html)

    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert "http" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_headings_never_skip_a_level(html: str) -> None:
    headings = parsed(html).headings

    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))


def test_ids_are_unique_and_every_drawing_is_named(html: str) -> None:
    page = parsed(html)

    drawings = [attributes for tag, attributes in page.tags if attributes.get("role") == "img"]
    named = [a for tag, a in page.tags if tag == "svg" and a.get("class") == "chart"]
    assert len(page.ids) == len(set(page.ids))
    assert len(named) == 8
    assert all(set(str(a["aria-labelledby"]).split()) <= set(page.ids) for a in named)
    assert all(a.get("aria-labelledby") or a.get("aria-label") for a in drawings)


def test_drawings_are_well_formed_and_inside_their_frame(html: str) -> None:
    for drawing in re.findall(r'<svg viewBox[^>]*class="chart".*?</svg>', html):
        root = ET.fromstring(drawing)
        width, height = (float(v) for v in root.attrib["viewBox"].split()[2:])
        for node in root.iter("line"):
            assert -1 <= float(node.attrib["x1"]) <= width + 1
            assert -1 <= float(node.attrib["y2"]) <= height + 1
        for node in root.iter("polyline"):
            points = [tuple(map(float, p.split(","))) for p in node.attrib["points"].split()]
            assert all(-1 <= x <= width + 1 and -1 <= y <= height + 1 for x, y in points)


def test_header_cells_say_what_they_head(html: str) -> None:
    heads = [attributes for tag, attributes in parsed(html).tags if tag == "th"]

    assert heads
    assert all(attributes.get("scope") in ("col", "row") for attributes in heads)


def test_the_verdict_comes_first(html: str) -> None:
    text = " ".join(parsed(html).text)

    assert text.index("Ship pruned + INT8.") < text.index("What this run does not prove")
    assert text.index("What this run does not prove") < text.index("All variants")
    assert "bertcompress bench fp32" in text


def test_a_report_without_the_samples_for_p99_prints_none(make_report: MakeReport) -> None:
    few = make_report(settings=BenchSettings(rounds=2, requests=50))

    page, text = " ".join(parsed(html_of(few)).text), markdown_of(few)

    assert "p99, ms" not in page
    assert "p90, ms" in page
    assert "562 more samples" in text
    assert "p99 (562 more)" in page


def test_a_report_with_them_prints_it(html: str) -> None:
    assert "p99, ms" in " ".join(parsed(html).text)


def test_texts_are_escaped(report: Report) -> None:
    result = report.results[1]
    assert result.paired is not None
    flip = replace(result.paired.flips[0], text="<script>alert(1)</script> & more | here")
    paired = replace(result.paired, flips=(flip,))
    nasty = replace(result, name="<b>bold</b>", paired=paired)
    changed = replace(report, results=(report.results[0], nasty), command='bench "<x>"')

    page = parsed(html_of(changed))

    assert {"script", "b", "x"}.isdisjoint({tag for tag, _ in page.tags})
    assert "\\| here" in markdown_of(changed)


@pytest.mark.parametrize("count", [1, 2, 8, 12])
def test_any_number_of_variants_is_drawn(count: int, make_report: MakeReport) -> None:
    rows = tuple((f"variant {i}", 1.0 + 0.3 * i, 90.0 - i, 0.885) for i in range(count))

    page = parsed(html_of(make_report(rows, settings=BenchSettings(rounds=2, requests=20))))

    assert "variant 0" in " ".join(page.text)


def test_a_run_of_latency_alone_is_drawn(report: Report) -> None:
    results = tuple(
        replace(
            result,
            accuracy=None,
            paired=None,
            history=(),
            measurements=result.measurements[:1],
            memory=(),
            load_s=(),
            first_answer_s=(),
        )
        for result in report.results
    )
    bare = replace(report, results=results, again=None, command="")

    page = parsed(html_of(bare))

    assert len([1 for tag, a in page.tags if a.get("class") == "chart"]) == 2
    assert "Accuracy was not measured." in " ".join(page.text)
    assert "—" in markdown_of(bare)


def test_a_run_without_timings_is_drawn(report: Report) -> None:
    results = tuple(replace(result, measurements=()) for result in report.results)

    page = parsed(html_of(replace(report, results=results, again=None)))

    assert "Accuracy against file size" in " ".join(page.text)
    assert markdown_of(replace(report, results=results, again=None))


def test_every_step_of_colour_is_styled_for_light_and_dark() -> None:
    style = files("bertcompress.report").joinpath(STYLE_NAME).read_text(encoding="utf-8")

    for step in range(8):
        assert len(re.findall(rf"--h{step}: #", style)) == 2
        assert f".h{step} {{ --c: var(--h{step}); }}" in style


def test_the_colours_get_darker_in_light_and_lighter_in_dark() -> None:
    style = files("bertcompress.report").joinpath(STYLE_NAME).read_text(encoding="utf-8")

    found = [re.findall(rf"--h{step}: #(\w+)", style) for step in range(8)]
    light, dark = ([luminance(pair[mode]) for pair in found] for mode in (0, 1))

    assert light == sorted(light, reverse=True)
    assert dark == sorted(dark)


def luminance(colour: str) -> float:
    """Returns a colour's relative luminance. Source: WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
