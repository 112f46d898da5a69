"""The HTML page of a report: one file, no script, nothing fetched.

The verdict comes first, then the table and the drawings, then the evidence: answers that changed,
classes, how each variant was made, the machine, and the line that repeats it all.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

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
from bertcompress.report import page_evidence as html_evidence
from bertcompress.report import page_tables as html_tables
from bertcompress.report.figures import figures_of, own_variants, series_of
from bertcompress.report.limits import limits_section
from bertcompress.report.markup import Content, Html, bullets, named, section, tag, written
from bertcompress.report.page_explanation import explanation_section
from bertcompress.report.page_precision_map import precision_section
from bertcompress.report.schema import Report
from bertcompress.report.summary import Summary, VariantSummary, summarize
from bertcompress.report.tuned_tables import best_section
from bertcompress.report.verdict import PEERS_HEADING, Verdict, verdict

STYLE_PATH = Path(__file__).with_name("report.css")


def html_of(report: Report, summary: Summary | None = None) -> str:
    """Returns the page; `summary` spares computing the report's figures anew."""
    summary = summary or summarize(report)
    decision = verdict(report, summary)
    chosen = next(v for v in summary.variants if v.name == decision.ship)
    body = [
        _header(report, summary, decision, chosen),
        "<main>",
        _notes(decision),
        written(html_tables.summary_section(report, summary, decision)),
        _figures(report, summary),
        written(html_tables.cost_section(summary)),
        written(best_section(summary)),
        written(limits_section(report, series_of(summary))),
        written(explanation_section(summary)),
        written(precision_section(summary)),
        written(html_evidence.answers_section(report, summary)),
        written(html_evidence.classes_section(report, summary)),
        written(html_evidence.history_section(summary)),
        written(html_evidence.machine_section(report)),
        written(html_evidence.repeat_section(report)),
        "</main>",
        _footer(report),
    ]
    style = STYLE_PATH.read_text(encoding="utf-8")
    title = f"{decision.headline.rstrip('.')} · bertcompress report"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n"
        f"<body>{''.join(part for part in body if part)}</body></html>\n"
    )


def _header(report: Report, summary: Summary, decision: Verdict, chosen: VariantSummary) -> str:
    names = f"{report.task}, {report.dataset.count:,} examples of {report.dataset.source}"
    machine = f"{report.environment.cpu_model}, {report.environment.threads} threads"
    parts: list[Content] = [
        tag("p", f"{names} · {machine} · {report.environment.date[:10]}", "kicker"),
        tag("h1", decision.headline),
        tag("p", " ".join(decision.reasons), "lead"),
    ]
    if not chosen.is_baseline:
        parts.append(_tiles(summary, chosen))
    return written(tag("header", parts))


def _tiles(summary: Summary, chosen: VariantSummary) -> Html:
    base, tiles = summary.base, []
    if chosen.latency and chosen.latency.speedup:
        speedup = chosen.latency.speedup
        detail = f"{ratio_interval(speedup)}, one sentence at a time"
        tiles.append(("Speed", ratio_text(speedup.estimate), detail))
        was = base.latency.median.estimate if base.latency else 0.0
        now = seconds_text(chosen.latency.median.estimate)
        tiles.append(("Median latency", now, f"{base.name}: {seconds_text(was)}"))
    file_bytes = chosen.result.size.file_bytes
    share = f"{base.name}: {bytes_text(base.result.size.file_bytes)}"
    tiles.append(("File", bytes_text(file_bytes), share))
    own, paired = chosen.result.accuracy, chosen.result.paired
    if own and paired:
        change = change_number(paired.metric, paired.difference.estimate)
        detail = f"change {change} ({change_interval(paired.metric, paired.difference)})"
        name = metric_name(own.metric).capitalize()
        tiles.append((name, metric_text(own.metric, own.value), detail))
    boxes = []
    for number, (name, figure, detail) in enumerate(tiles):
        value = tag("dd", [tag("span", figure, "figure"), tag("span", detail, "detail")])
        box = tag("div", [tag("dt", name), value], "tile first" if number == 0 else "tile")
        boxes.append(box)
    return tag("dl", boxes, "tiles")


def _notes(decision: Verdict) -> str:
    boxes = []
    if decision.peers:
        content = [tag("h2", PEERS_HEADING), bullets(decision.peers)]
        boxes.append(tag("section", content, "note"))
    if decision.doubts:
        content = [tag("h2", "What this run does not prove"), bullets(decision.doubts)]
        boxes.append(tag("section", content, "note doubts"))
    if decision.others:
        content = [tag("h2", "The others"), bullets(decision.others)]
        boxes.append(tag("section", content, "note"))
    return written(tag("div", boxes, "two")) if boxes else ""


def _figures(report: Report, summary: Summary) -> str:
    series = series_of(summary)
    items = [tag("li", named(series[v.name], v.name)) for v in own_variants(summary)]
    key = tag("ul", items, "key")
    drawn = []
    for figure in figures_of(report, summary):
        caption = tag("figcaption", figure.caption)
        parts: list[Content] = [tag("h3", figure.heading)]
        parts += [key] if figure.has_key else []
        drawn.append(tag("figure", [*parts, Html(figure.svg), caption]))
    if not drawn:
        return ""
    return written(section("figures", "In pictures", tag("div", drawn, "figures")))


def _footer(report: Report) -> str:
    text = (
        f"Written by bertcompress {report.tool_version} from report.json, format "
        f"{report.format_version}, which holds every sample. Intervals are 95 %. Latency ratios: "
        "bootstrap over rounds, then requests; accuracy: Wilson; changes: paired bootstrap, "
        "McNemar's exact test where answers are right or wrong. Percentiles follow MLPerf's early "
        "stopping rule and are left out where samples are missing. 1 MB is 10⁶ bytes."
    )
    return written(tag("footer", tag("p", text)))
