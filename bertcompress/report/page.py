"""The HTML page of a report: one file, no script, nothing fetched.

The verdict comes first, then the table and the drawings, then the evidence: answers that changed,
classes, how each variant was made, the machine, and the line that repeats it all. The template
``page.html.jinja`` prints the sections; it escapes all text but the drawings, which escape theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from bertcompress.formatting import (
    bytes_text,
    change_interval,
    change_number,
    metric_name,
    metric_text,
    ratio_interval,
    ratio_text,
    seconds_text,
)
from bertcompress.report.figures import figures_of
from bertcompress.report.schema import Report
from bertcompress.report.summary import Summary, summarize
from bertcompress.report.svg import element, marker
from bertcompress.report.tables.sections import sections_of
from bertcompress.report.variant_summary import VariantSummary
from bertcompress.report.verdict import DOUBTS_HEADING, is_faster, is_slower

STYLE_NAME, TEMPLATE_NAME = "report.css", "page.html.jinja"


@dataclass(frozen=True)
class Tile:
    """A figure in large print: what it is, its value, and what belongs to it."""

    name: str
    figure: str
    detail: str


def html_of(report: Report, summary: Summary | None = None) -> str:
    """Returns the page; `summary` spares computing the report's figures anew."""
    summary = summary or summarize(report)
    series = summary.series
    shipped = next(v for v in summary.variants if v.name == summary.verdict.ship)
    return _template().render(
        report=report,
        verdict=summary.verdict,
        doubts_heading=DOUBTS_HEADING,
        style=files(__package__).joinpath(STYLE_NAME).read_text(encoding="utf-8"),
        tiles=[] if shipped.is_baseline else _tiles(summary, shipped),
        sections=[s for s in sections_of(report, summary) if s.where in ("both", "page")],
        figures=figures_of(report, summary),
        key=[(series[variant.name], variant.name) for variant in summary.own],
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["swatch"] = _swatch
    text = files(__package__).joinpath(TEMPLATE_NAME).read_text(encoding="utf-8")
    return environment.from_string(text)


def _swatch(series: int) -> str:
    """Returns a variant's marker as a small drawing."""
    mark = marker(7.0, 7.0, series, radius=5.2)
    attributes = {"viewBox": "0 0 14 14", "class": "swatch", "aria-hidden": "true"}
    return element("svg", attributes, mark)


def _tiles(summary: Summary, shipped: VariantSummary) -> list[Tile]:
    base, tiles = summary.base, []
    if shipped.latency and shipped.latency.speedup:
        speedup = shipped.latency.speedup
        shown = is_faster(shipped, summary) or is_slower(shipped)
        detail = f"{ratio_interval(speedup)}, one sentence at a time"
        tiles.append(Tile("Speed", ratio_text(speedup.estimate) if shown else "as before", detail))
        was = base.latency.median.estimate if base.latency else 0.0
        now = seconds_text(shipped.latency.median.estimate)
        tiles.append(Tile("Median latency", now, f"{base.name}: {seconds_text(was)}"))
    share = f"{base.name}: {bytes_text(base.result.size.file_bytes)}"
    tiles.append(Tile("File", bytes_text(shipped.result.size.file_bytes), share))
    accuracy, paired = shipped.result.accuracy, shipped.result.paired
    if accuracy and paired:
        change = change_number(paired.metric, paired.difference.estimate)
        detail = f"change {change} ({change_interval(paired.metric, paired.difference)})"
        name = metric_name(accuracy.metric).capitalize()
        tiles.append(Tile(name, metric_text(accuracy.metric, accuracy.value), detail))
    return tiles
