"""What a report draws: each figure with the sentence that says how to read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bertcompress.formatting import (
    bound_text,
    change_interval,
    change_number,
    is_share,
    metric_name,
    ratio_interval,
    ratio_text,
)
from bertcompress.report import charts
from bertcompress.report.roofline import least_seconds
from bertcompress.report.schema import Report
from bertcompress.report.summary import (
    Cost,
    Summary,
    front,
    latency_cost,
    size_cost,
    throughput_cost,
)
from bertcompress.report.variant_summary import Latency, VariantSummary
from bertcompress.stats.intervals import Interval


@dataclass(frozen=True)
class Figure:
    """A drawing with its heading and caption.

    Attributes:
        heading: What it shows.
        caption: How to read it.
        svg: The drawing.
        has_key: Whether it needs the list of series beside it.
    """

    heading: str
    caption: str
    svg: str
    has_key: bool = False


def figures_of(report: Report, summary: Summary) -> list[Figure]:
    """Returns all figures that the report has the data for, in reading order."""
    return [
        *_speedups(summary),
        *_changes(report, summary),
        *_accuracy_against_costs(report, summary),
        *_latency_by_length(report, summary),
        *_latency_distribution(summary),
        *_throughput(summary),
    ]


def _speedups(summary: Summary) -> Iterator[Figure]:
    series = summary.series
    bars = [
        charts.Bar(
            variant.name,
            series[variant.name],
            variant.latency.speedup,
            f"{ratio_text(variant.latency.speedup.estimate)}"
            f" ({ratio_interval(variant.latency.speedup)})",
        )
        for variant in summary.variants
        if variant.latency and variant.latency.speedup
    ]
    if not bars:
        return
    noise = summary.resolution or 0.0
    caption = f"Median time of {summary.base.name} over the variant's, with its 95 % interval. "
    caption += "Right of the line is faster. The model alone, tokenization not included."
    if noise:
        caption += f" Inside the grey band ({noise:.1%}) this machine can't tell."
    words = charts.Words(
        "speedup",
        "Speed-up over the baseline",
        "; ".join(f"{bar.label}: {bar.written}" for bar in bars),
        "times as fast, one sentence at a time",
        "",
    )
    svg = charts.forest(
        bars, words, neutral=1.0, noise=noise, bound=None, x_text=lambda v: f"{v:g}×"
    )
    yield Figure("How much faster", caption, svg)


def _changes(report: Report, summary: Summary) -> Iterator[Figure]:
    series, metric = summary.series, report.metric
    bars = []
    for variant in summary.variants:
        paired = variant.result.paired
        if paired is None or paired.metric != metric:
            continue
        written = f"{change_number(metric, paired.difference.estimate)}"
        written += f" ({change_interval(metric, paired.difference)})"
        bars.append(charts.Bar(variant.name, series[variant.name], paired.difference, written))
    if not bars:
        return
    limit = bound_text(metric, report.settings.max_drop)
    words = charts.Words(
        "change",
        f"Change of {metric_name(metric)}",
        "; ".join(f"{bar.label}: {bar.written}" for bar in bars),
        f"change of {metric_name(metric)}" + (", points" if is_share(metric) else ""),
        "",
    )
    svg = charts.forest(
        bars,
        words,
        neutral=0.0,
        noise=0.0,
        bound=-report.settings.max_drop,
        x_text=lambda v: change_number(metric, v).replace(".00", ""),
    )
    caption = f"Paired with {summary.base.name} on the same examples, with its 95 % interval. "
    caption += f"The dashed line is the accepted loss of {limit}."
    yield Figure("What it costs in answers", caption, svg)


def _accuracy_against_costs(report: Report, summary: Summary) -> Iterator[Figure]:
    variants = summary.variants
    medians = {v.name: _scaled(v.latency.median, 1e3) for v in variants if v.latency}
    sizes = {v.name: _exact(v.result.size.file_bytes / 1e6) for v in variants}
    rates = {v.name: v.best_throughput.sentences_per_s for v in variants if v.best_throughput}
    names = ("latency", "median latency", "median latency of one sentence, ms")
    yield from _scatter(report, summary, medians, latency_cost, names)
    names = ("size", "file size", "file size, MB")
    yield from _scatter(report, summary, sizes, size_cost, names)
    names = ("throughput", "throughput", "sentences a second, each at its best")
    yield from _scatter(report, summary, rates, throughput_cost, names, better="right")


def _scatter(
    report: Report,
    summary: Summary,
    xs: Mapping[str, Interval],
    cost: Cost,
    names: tuple[str, str, str],
    *,
    better: str = "left",
) -> Iterator[Figure]:
    base = summary.base.result.accuracy
    if base is None or len(xs) < len(summary.variants):
        return
    name, words_x, axis = names
    metric, series = report.metric, summary.series
    best = front(summary.variants, cost)
    points = [
        charts.Point(
            "" if variant.is_peer and variant.name not in best else variant.name,
            series[variant.name],
            xs[variant.name],
            _with_change(variant, base.value),
            variant.name in best,
        )
        for variant in summary.variants
    ]
    words = charts.Words(
        f"accuracy-{name}",
        f"{metric_name(metric).capitalize()} against {words_x}",
        f"Not beaten by any other: {', '.join(best)}.",
        axis,
        metric_name(metric) + (", %" if is_share(metric) else ""),
    )
    svg = charts.scatter(
        points, words, x_text=lambda v: f"{v:,g}", y_text=lambda v: _metric_tick(metric, v)
    )
    caption = (
        f"Up and to the {better} is better. The line joins the variants that no other is shown "
    )
    caption += "to beat. Whiskers: 95 % intervals, upright those of the change from "
    caption += f"{summary.base.name}."
    if any(variant.is_peer for variant in summary.variants):
        caption += " Grey: what other libraries make, named where nothing beats it."
    yield Figure(f"{metric_name(metric).capitalize()} against {words_x}", caption, svg)


def _latency_by_length(report: Report, summary: Summary) -> Iterator[Figure]:
    series = summary.series
    drawn = []
    for variant in summary.own:
        cells = [cell for cell in variant.by_length if cell.measurement.batch_size == 1]
        if len(cells) < 2:
            continue
        xs = tuple(float(_length(cell)) for cell in cells)
        ys = tuple(_scaled(cell.median, 1e3) for cell in cells)
        limits = least_seconds(report, variant.result, [_length(cell) for cell in cells])
        limits_ms = tuple(seconds * 1e3 for seconds in limits)
        drawn.append(charts.Curve(variant.name, series[variant.name], xs, ys, limits_ms))
    if not drawn:
        return
    words = charts.Words(
        "by-length",
        "Latency by length",
        "; ".join(
            f"{curve.label}: {curve.ys[0].estimate:.2f} ms at {curve.xs[0]:g} tokens, "
            f"{curve.ys[-1].estimate:.2f} ms at {curve.xs[-1]:g}"
            for curve in drawn
        ),
        "tokens in the sentence",
        "median latency, ms",
    )
    svg = charts.lines(
        drawn, words, x_text=lambda v: f"{v:g}", y_text=lambda v: f"{v:g}", doubling=False
    )
    caption = "One row at a time, cut to the length from the data's own text, no padding."
    if any(curve.limits for curve in drawn):
        caption += " Dashed: the least time that this machine's limits, measured in this run, "
        caption += "allow for the same operations."
    yield Figure("Latency by length", caption, svg)


def _latency_distribution(summary: Summary) -> Iterator[Figure]:
    series = summary.series
    drawn = []
    for variant in summary.own:
        if variant.latency is None:
            continue
        rounds = variant.latency.measurement.rounds
        samples = tuple(second * 1e3 for seconds in rounds for second in seconds)
        drawn.append(charts.Distribution(variant.name, series[variant.name], samples))
    if not drawn:
        return
    words = charts.Words(
        "distribution",
        "Latency distribution",
        "The share of sentences answered within a time, for each variant.",
        "answered within, ms",
        "share of sentences",
    )
    svg = charts.distributions(drawn, words, x_text=lambda v: f"{v:g}")
    caption = "The share of single sentences answered within a time; each curve mixes the data's "
    caption += "own lengths. The marker is the median."
    yield Figure("Latency distribution", caption, svg, has_key=True)


def _throughput(summary: Summary) -> Iterator[Figure]:
    series = summary.series
    drawn = []
    for variant in summary.own:
        if len(variant.throughput) < 2:
            continue
        xs = tuple(float(rate.batch_size) for rate in variant.throughput)
        ys = tuple(rate.sentences_per_s for rate in variant.throughput)
        drawn.append(charts.Curve(variant.name, series[variant.name], xs, ys))
    if not drawn:
        return
    words = charts.Words(
        "by-batch",
        "Throughput by batch size",
        "; ".join(
            f"{curve.label}: up to {max(y.estimate for y in curve.ys):,.0f} sentences a second"
            for curve in drawn
        ),
        "batch size",
        "sentences a second",
    )
    svg = charts.lines(
        drawn, words, x_text=lambda v: f"{v:g}", y_text=lambda v: f"{v:,.0f}", doubling=True
    )
    caption = "All sentences at hand, sorted by length, padded within each batch."
    yield Figure("Throughput by batch size", caption, svg)


def _length(cell: Latency) -> int:
    return cell.measurement.sequence_length or 0


def _scaled(interval: Interval, factor: float) -> Interval:
    low, high = interval.low * factor, interval.high * factor
    return Interval(interval.estimate * factor, low, high, interval.confidence)


def _exact(value: float) -> Interval:
    return Interval(value, value, value)


def _with_change(variant: VariantSummary, base: float) -> Interval:
    accuracy, paired = variant.result.accuracy, variant.result.paired
    value = accuracy.value if accuracy else 0.0
    if paired is None or accuracy is None or paired.metric != accuracy.metric:
        return _exact(value)
    return Interval(value, base + paired.difference.low, base + paired.difference.high)


def _metric_tick(metric: str, value: float) -> str:
    return f"{value * 100:g}" if is_share(metric) else f"{value:g}"
