"""The Markdown of a report: for terminals, pull requests and job summaries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bertcompress.formatting import (
    bytes_text,
    change_interval,
    change_number,
    metric_interval,
    metric_name,
    metric_text,
    millisecond_interval,
    milliseconds,
    p_text,
    quantile_name,
    rate_text,
    ratio_interval,
    ratio_text,
    seconds_text,
)
from bertcompress.passes.prune.removed import grouped
from bertcompress.report import precision_map_text
from bertcompress.report.explanation_text import (
    LEGEND,
    PIECE_COLUMNS,
    PIECES_HEADING,
    how_to_read,
    piece_rows,
    removed_text,
    text_map,
)
from bertcompress.report.limits import HEADING, limits_tables, remarks
from bertcompress.report.page_evidence import machine_facts
from bertcompress.report.schema import Report
from bertcompress.report.summary import Latency, Summary, VariantSummary, summarize
from bertcompress.report.tuned_tables import best_markdown
from bertcompress.report.verdict import PEERS_HEADING, verdict

SHOWN_FLIPS = 5
_CELL_CHARACTERS = 120


def markdown_of(report: Report, summary: Summary | None = None) -> str:
    """Returns the report as Markdown; `summary` spares computing its figures anew."""
    summary = summary or summarize(report)
    decision = verdict(report, summary)
    lines = [f"# {decision.headline}", "", " ".join(decision.reasons), ""]
    lines += summary_table(report, summary)
    lines += _listed(f"## {PEERS_HEADING}", decision.peers)
    lines += _listed("## What this run does not prove", decision.doubts)
    lines += _listed("## The others", decision.others)
    lines += _percentiles(summary)
    lines += _lengths(summary)
    lines += _throughput(summary)
    lines += _best(summary)
    lines += _limits(report)
    lines += _explanations(summary)
    lines += _precisions(summary)
    lines += _answers(report, summary)
    lines += ["", "## Where it was measured", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in machine_facts(report)]
    if report.command:
        lines += ["", "## Measure it again", "", "```", report.command, "```"]
    return "\n".join([*lines, ""])


def summary_table(report: Report, summary: Summary) -> list[str]:
    """Returns the lines of the table that compares all variants."""
    columns = [
        "variant",
        metric_name(report.metric),
        "change (paired)",
        "p50 ms, one sentence",
        "speed-up",
        "sentences/s",
        "file",
        "peak memory",
    ]
    return _table(columns, [_summary_row(variant) for variant in summary.variants])


def _summary_row(variant: VariantSummary) -> list[str]:
    accuracy, latency = variant.result.accuracy, variant.latency
    paired, best = variant.result.paired, variant.best_throughput
    speedup = latency.speedup if latency else None
    value = change = "—"
    if accuracy:
        value = metric_text(accuracy.metric, accuracy.value)
        span = accuracy.interval
        value += f" ({metric_interval(accuracy.metric, span)})" if span else ""
    if paired:
        change = change_number(paired.metric, paired.difference.estimate)
        change += f" ({change_interval(paired.metric, paired.difference)})"
    median = "—"
    if latency:
        median = milliseconds(latency.median.estimate)
        median += f" ({millisecond_interval(latency.median)})"
    times = f"{ratio_text(speedup.estimate)} ({ratio_interval(speedup)})" if speedup else "—"
    return [
        variant.name,
        value,
        "baseline" if variant.is_baseline else change,
        median,
        "baseline" if variant.is_baseline else times,
        rate_text(best.sentences_per_s.estimate) if best else "—",
        bytes_text(variant.result.size.file_bytes),
        bytes_text(variant.peak_bytes) if variant.peak_bytes is not None else "—",
    ]


def _percentiles(summary: Summary) -> list[str]:
    measured = [variant for variant in summary.variants if variant.latency]
    if not measured or measured[0].latency is None:
        return []
    quantiles = [p.quantile for p in measured[0].latency.percentiles]
    columns = ["variant", *(quantile_name(quantile) for quantile in quantiles), "variation"]
    rows = []
    for variant in measured:
        if variant.latency is None:
            continue
        values = [
            f"{p.missing:,} more samples" if p.value is None else milliseconds(p.value)
            for p in variant.latency.percentiles
        ]
        spread = variant.latency.variation
        rows.append([variant.name, *values, "—" if spread is None else f"{spread:.0%}"])
    return ["", "## Latency of one sentence, ms", "", *_table(columns, rows)]


def _lengths(summary: Summary) -> list[str]:
    base = summary.base.by_length
    if not base:
        return []
    columns = ["variant", *(_cell_name(cell) for cell in base)]
    rows = []
    for variant in summary.variants:
        row = [variant.name]
        for cell in variant.by_length:
            text = milliseconds(cell.median.estimate)
            row.append(f"{text} ({ratio_text(cell.speedup.estimate)})" if cell.speedup else text)
        rows.append(row)
    return ["", "## Median latency by batch and length, ms", "", *_table(columns, rows)]


def _cell_name(cell: Latency) -> str:
    return f"{cell.measurement.batch_size} × {cell.measurement.sequence_length} tokens"


def _throughput(summary: Summary) -> list[str]:
    base = summary.base.throughput
    if not base:
        return []
    columns = ["variant", *(f"batch {one.batch_size}" for one in base), "load", "first answer"]
    rows = []
    for variant in summary.variants:
        rates = [rate_text(one.sentences_per_s.estimate) for one in variant.throughput]
        starts = [variant.load_s, variant.first_answer_s]
        times = ["—" if value is None else seconds_text(value) for value in starts]
        rows.append([variant.name, *rates, *times])
    lines = ["", "## Sentences a second, sorted by length", "", *_table(columns, rows)]
    if summary.tokenization_s is not None:
        took = seconds_text(summary.tokenization_s)
        lines += ["", f"Tokenizing one example takes {took} more; no latency here includes it."]
    return lines


def _answers(report: Report, summary: Summary) -> list[str]:
    compared = [variant for variant in summary.variants if variant.result.paired]
    if not compared:
        return []
    columns = ["variant", "same answer", "changed", "worse", "better", "test", "logit KL"]
    rows, examples = [], []
    for variant in compared:
        paired = variant.result.paired
        if paired is None:
            continue
        rows.append(
            [
                variant.name,
                f"{paired.agreement:.2%}",
                f"{paired.flip_count:,}",
                f"{paired.lost:,}",
                f"{paired.gained:,}",
                f"{p_text(paired.p_value)}, {paired.test}",
                "—" if paired.logit_kl is None else f"{paired.logit_kl:.4f}",
            ]
        )
        examples += [
            [variant.name, flip.text, flip.gold, flip.base, flip.answer]
            for flip in (() if variant.is_peer else paired.flips[:SHOWN_FLIPS])
        ]
    lines = ["", f"## Answers that changed from {report.baseline}", "", *_table(columns, rows)]
    if examples:
        lines += ["", *_table(["variant", "text", "right answer", "before", "after"], examples)]
    return lines


def _best(summary: Summary) -> list[str]:
    lines: list[str] = []
    for heading, columns, rows, sentences in best_markdown(summary):
        lines += ["", f"## {heading}", "", *_table(columns, rows)]
        lines += ["", " ".join(sentences)]
    return lines


def _limits(report: Report) -> list[str]:
    tables, sentences = limits_tables(report), remarks(report)
    if not tables and not sentences:
        return []
    lines = ["", f"## {HEADING}"]
    for columns, rows in tables:
        lines += ["", *_table(columns, rows)]
    for sentence in sentences:
        lines += ["", sentence]
    return lines


def _explanations(summary: Summary) -> list[str]:
    groups = grouped((one.name, one.result.explanation) for one in summary.variants)
    lines = ["", "## What pruning removed", "", LEGEND] if groups else []
    for name, explanation in groups:
        lines += ["", f"### {name}", "", f"{removed_text(explanation)}.", ""]
        lines += ["```", *text_map(explanation), "```"]
        if explanation.pieces:
            lines += ["", f"{PIECES_HEADING}. {how_to_read(explanation)}", ""]
            lines += _table(PIECE_COLUMNS, piece_rows(explanation))
    return lines


def _precisions(summary: Summary) -> list[str]:
    lines: list[str] = []
    for variant in summary.variants:
        mapped = variant.result.precision_map
        if mapped is not None:
            lines += [
                "",
                f"### {variant.name}",
                "",
                " ".join(precision_map_text.sentences(mapped)),
                "",
            ]
            rows = precision_map_text.joined_rows(mapped) + precision_map_text.other_rows(mapped)
            lines += _table(precision_map_text.columns(mapped), rows)
    if not lines:
        return []
    heading = f"## {precision_map_text.HEADING}"
    return ["", heading, "", precision_map_text.HOW_TO_READ, *lines]


def _listed(heading: str, sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return []
    return ["", heading, "", *(f"- {sentence}" for sentence in sentences)]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) - 1)}"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return lines


def _cell(content: str) -> str:
    line = " ".join(content.split()).replace("|", "\\|")
    return line if len(line) <= _CELL_CHARACTERS else line[: _CELL_CHARACTERS - 1] + "…"
