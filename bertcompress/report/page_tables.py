"""The tables of the HTML page that compare the variants."""

from __future__ import annotations

from html import escape

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
    seconds_text,
)
from bertcompress.report.figures import series_of
from bertcompress.report.markup import Content, Html, named, section, table, tag, two_lines, written
from bertcompress.report.schema import Report
from bertcompress.report.summary import (
    Latency,
    Summary,
    Throughput,
    VariantSummary,
    joules_per_sentence,
)
from bertcompress.report.verdict import Verdict
from bertcompress.stats.intervals import Percentile


def summary_section(report: Report, summary: Summary, decision: Verdict) -> Html:
    """Returns the table of all variants."""
    tails = printed_quantiles(summary)
    columns: list[Content] = [
        "variant",
        metric_name(report.metric),
        "change, paired",
        two_lines("p50, ms", "one sentence"),
    ]
    columns += [f"{quantile_name(quantile)}, ms" for quantile in tails]
    columns += ["speed-up", two_lines("sentences/s", "each at its best"), "file", "peak memory"]
    series = series_of(summary)
    rows, chosen = [], None
    for number, variant in enumerate(summary.variants):
        is_chosen = variant.name == decision.ship
        chosen = number if is_chosen else chosen
        name = written(named(series[variant.name], variant.name))
        runtime = escape(variant.result.runtime)
        if is_chosen and not variant.is_baseline:
            runtime += '<span class="badge">ship</span>'
        row: list[Content] = [two_lines(Html(name), Html(runtime))]
        row += _accuracy_cells(variant)
        row += _latency_cells(variant, tails)
        row += [_throughput_cell(variant), _size_cell(variant), _bytes_cell(variant.peak_bytes)]
        rows.append(row)
    caption = "Each variant in its own processes, the same sentences for all, turns interleaved"
    return section("variants", "All variants", table(caption, columns, rows, chosen=chosen))


def cost_section(summary: Summary) -> Html:
    """Returns throughput by batch size, start and memory."""
    parts: list[Content] = []
    if any(variant.throughput for variant in summary.variants):
        parts.append(_throughput_table(summary))
    parts.append(_start_table(summary))
    if summary.tokenization_s is not None:
        text = f"Tokenizing one example takes {seconds_text(summary.tokenization_s)} more"
        parts.append(tag("p", f"{text} (median); no latency in this report includes it.", "soft"))
    if summary.base.result.memory:
        base = bytes_text(summary.base.result.memory[0].interpreter_bytes)
        text = f"{base} of the memory is Python itself before anything is loaded."
        parts.append(tag("p", text, "soft"))
    return section("cost", "Throughput, start and memory", *parts)


def _throughput_table(summary: Summary) -> Html:
    series = series_of(summary)
    batches = sorted({one.batch_size for v in summary.variants for one in v.throughput})
    rows = []
    for variant in summary.variants:
        rates = {one.batch_size: one for one in variant.throughput}
        cells = [_rate_cell(rates[batch]) if batch in rates else "—" for batch in batches]
        rows.append([named(series[variant.name], variant.name), *cells])
    padding = {one.batch_size: one.padding_fraction for one in summary.base.throughput}
    columns: list[Content] = ["variant"]
    columns += [two_lines(f"batch {b}", f"{padding.get(b, 0.0):.0%} padding") for b in batches]
    return table("Sentences a second, sorted by length", columns, rows)


def _rate_cell(throughput: Throughput) -> Content:
    tokens = f"{rate_text(throughput.tokens_per_s)} tokens/s"
    return two_lines(rate_text(throughput.sentences_per_s.estimate), tokens)


def _start_table(summary: Summary) -> Html:
    series = series_of(summary)
    columns: list[Content] = [
        "variant",
        "load",
        two_lines("first answer", "after the start"),
        two_lines("memory", "loaded"),
        two_lines("memory", "peak, batch 1"),
        two_lines("memory", "peak, all batches"),
        two_lines("file", "zlib"),
        "whole folder",
    ]
    energy = {v.name: _energy_cell(v) for v in summary.variants}
    if any(energy.values()):
        columns.append(two_lines("energy", "one sentence"))
    rows = []
    for variant in summary.variants:
        memory, size = variant.result.memory, variant.result.size
        rows.append(
            [
                named(series[variant.name], variant.name),
                _seconds_cell(variant.load_s),
                _seconds_cell(variant.first_answer_s),
                _bytes_cell(memory[0].loaded_bytes if memory else None),
                _bytes_cell(variant.peak_bytes),
                _bytes_cell(max((m.peak_bytes for m in memory), default=None)),
                _bytes_cell(size.compressed_bytes),
                _bytes_cell(size.folder_bytes),
                *([energy[variant.name] or "—"] if any(energy.values()) else []),
            ]
        )
    return table("Start, memory and storage, medians over the rounds", columns, rows)


def _energy_cell(variant: VariantSummary) -> str:
    joules = joules_per_sentence(variant.latency.measurement) if variant.latency else None
    return "" if joules is None else f"{joules * 1e3:.3g} mJ"


def _seconds_cell(seconds: float | None) -> Content:
    return "—" if seconds is None else seconds_text(seconds)


def _bytes_cell(count: int | None) -> Content:
    return "—" if count is None else bytes_text(count)


def printed_quantiles(summary: Summary) -> list[float]:
    """Returns p90 and the highest percentile that every variant has samples for."""
    latencies = [variant.latency for variant in summary.variants if variant.latency]
    if not latencies:
        return []
    there = [
        p.quantile
        for p in latencies[0].percentiles
        if p.quantile > 0.5 and all(_value(one, p.quantile) is not None for one in latencies)
    ]
    return sorted({*there[:1], *there[-1:]})


def _value(latency: Latency, quantile: float) -> float | None:
    found: list[Percentile] = [p for p in latency.percentiles if p.quantile == quantile]
    return found[0].value if found else None


def _accuracy_cells(variant: VariantSummary) -> list[Content]:
    own, paired = variant.result.accuracy, variant.result.paired
    if own is None:
        return ["—", "—"]
    span = metric_interval(own.metric, own.interval) if own.interval else ""
    cells: list[Content] = [two_lines(metric_text(own.metric, own.value), span)]
    if paired is None:
        return [*cells, "baseline"]
    change = change_number(paired.metric, paired.difference.estimate)
    span = change_interval(paired.metric, paired.difference)
    return [*cells, two_lines(change, span)]


def _latency_cells(variant: VariantSummary, tails: list[float]) -> list[Content]:
    latency = variant.latency
    if latency is None:
        return ["—"] * (2 + len(tails))
    cells: list[Content] = [
        two_lines(milliseconds(latency.median.estimate), millisecond_interval(latency.median))
    ]
    cells += [milliseconds(_value(latency, quantile) or 0.0) for quantile in tails]
    if latency.speedup is None:
        return [*cells, "1×"]
    speedup = latency.speedup
    kind = "good" if speedup.low > 1.0 else "bad" if speedup.high < 1.0 else ""
    figure = tag("strong", ratio_text(speedup.estimate), kind)
    return [*cells, two_lines(figure, ratio_interval(speedup))]


def _throughput_cell(variant: VariantSummary) -> Content:
    best = variant.best_throughput
    if best is None:
        return "—"
    return two_lines(rate_text(best.sentences_per_s.estimate), variant.best_throughput_settings)


def _size_cell(variant: VariantSummary) -> Content:
    ratio = "" if variant.is_baseline else f"{variant.size_ratio:.1f} times smaller"
    if variant.size_ratio < 1.0:
        ratio = f"{1 / variant.size_ratio:.1f} times larger"
    elif abs(variant.size_ratio - 1.0) < 0.05 and not variant.is_baseline:
        ratio = "the same"
    return two_lines(bytes_text(variant.result.size.file_bytes), ratio)
