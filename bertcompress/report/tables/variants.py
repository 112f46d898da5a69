"""The table that compares all variants: what decides between them, a row each."""

from __future__ import annotations

from bertcompress.formatting import (
    bytes_text,
    change_interval,
    change_number,
    metric_interval,
    metric_name,
    metric_text,
    millisecond_interval,
    milliseconds,
    quantile_name,
    rate_text,
    ratio_interval,
    ratio_text,
)
from bertcompress.report.schema import Report
from bertcompress.report.summary import Summary
from bertcompress.report.tables.blocks import Cell, Column, Row, Section, Table
from bertcompress.report.variant_summary import Latency, VariantSummary


def variants_section(report: Report, summary: Summary) -> Section:
    """Returns the table that compares all variants, as a section."""
    return Section("variants", "All variants", (summary_table(report, summary),))


def summary_table(report: Report, summary: Summary) -> Table:
    """Returns the table that compares all variants."""
    tails = _printed_quantiles(summary)
    columns = (
        Column("variant"),
        Column(metric_name(report.metric)),
        Column("change, paired", text_title="change (paired)"),
        Column("p50, ms", "one sentence", text_title="p50 ms, one sentence"),
        *(Column(f"{quantile_name(quantile)}, ms", where="page") for quantile in tails),
        Column("speed-up"),
        Column("sentences/s", "each at its best"),
        Column("file"),
        Column("peak memory"),
    )
    names = [variant.name for variant in summary.variants]
    return Table(
        title="Each variant in its own processes, the same sentences for all, turns interleaved",
        columns=columns,
        rows=tuple(_summary_row(variant, summary, tails) for variant in summary.variants),
        chosen=names.index(summary.verdict.ship),
    )


def _summary_row(variant: VariantSummary, summary: Summary, tails: list[float]) -> Row:
    result, latency, best = variant.result, variant.latency, variant.best_throughput
    is_shipped = variant.name == summary.verdict.ship and not variant.is_baseline
    return (
        Cell(
            variant.name,
            page_note=result.runtime,
            series=summary.series[variant.name],
            badge="ship" if is_shipped else "",
        ),
        _accuracy_cell(variant),
        _change_cell(variant),
        _median_cell(latency) if latency else Cell(),
        *(_tail_cell(latency, quantile) for quantile in tails),
        _speedup_cell(variant),
        Cell(rate_text(best.sentences_per_s.estimate), page_note=variant.best_throughput_settings)
        if best
        else Cell(),
        Cell(bytes_text(result.size.file_bytes), page_note=_size_note(variant)),
        Cell(bytes_text(variant.peak_bytes)) if variant.peak_bytes is not None else Cell(),
    )


def _accuracy_cell(variant: VariantSummary) -> Cell:
    accuracy = variant.result.accuracy
    if accuracy is None:
        return Cell()
    span = metric_interval(accuracy.metric, accuracy.interval) if accuracy.interval else ""
    return Cell(metric_text(accuracy.metric, accuracy.value), span)


def _change_cell(variant: VariantSummary) -> Cell:
    paired = variant.result.paired
    if variant.is_baseline or paired is None:
        return Cell("baseline" if variant.is_baseline else "—")
    change = change_number(paired.metric, paired.difference.estimate)
    return Cell(change, change_interval(paired.metric, paired.difference))


def _median_cell(latency: Latency) -> Cell:
    return Cell(milliseconds(latency.median.estimate), millisecond_interval(latency.median))


def _tail_cell(latency: Latency | None, quantile: float) -> Cell:
    seconds = _value(latency, quantile)
    return Cell() if seconds is None else Cell(milliseconds(seconds))


def _speedup_cell(variant: VariantSummary) -> Cell:
    speedup = variant.latency.speedup if variant.latency else None
    if speedup is None:
        return Cell("baseline" if variant.is_baseline else "—")
    kind = "good" if speedup.low > 1.0 else "bad" if speedup.high < 1.0 else "level"
    return Cell(ratio_text(speedup.estimate), ratio_interval(speedup), kind=kind)


def _size_note(variant: VariantSummary) -> str:
    if variant.size_ratio < 1.0:
        return f"{1 / variant.size_ratio:.1f} times larger"
    if variant.is_baseline:
        return ""
    is_level = abs(variant.size_ratio - 1.0) < 0.05
    return "the same" if is_level else f"{variant.size_ratio:.1f} times smaller"


def _printed_quantiles(summary: Summary) -> list[float]:
    """Returns p90 and the highest percentile that every variant has samples for."""
    latencies = [variant.latency for variant in summary.variants if variant.latency]
    if not latencies:
        return []
    known = [
        p.quantile
        for p in latencies[0].percentiles
        if p.quantile > 0.5 and all(_value(other, p.quantile) is not None for other in latencies)
    ]
    return sorted({*known[:1], *known[-1:]})


def _value(latency: Latency | None, quantile: float) -> float | None:
    percentiles = latency.percentiles if latency else ()
    return next((p.value for p in percentiles if p.quantile == quantile), None)
