"""What a report says of the peers: the best of them at each kind of work, against what is shipped.

Only peers within the accepted loss of the primary metric count; whichever side is shown to be ahead
is said to be, whether it is ours or theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bertcompress.formatting import (
    bound_text,
    bytes_text,
    metric_name,
    rate_text,
    ratio_interval,
    seconds_text,
)
from bertcompress.report.schema import Report
from bertcompress.report.variant_summary import Latency, Rows, VariantSummary
from bertcompress.stats.bootstrap import quantile_ratio
from bertcompress.stats.intervals import Interval

Find = Callable[[VariantSummary], Latency | None]


def peer_sentences(
    chosen: VariantSummary, good: Sequence[VariantSummary], report: Report, rows: Rows
) -> Iterator[str]:
    """Yields the comparisons of `chosen` with the best peers.

    Args:
        chosen: What the verdict ships.
        good: The variants whose loss is accepted, peers among them.
        report: The report.
        rows: Its figures.
    """
    peers = [variant for variant in rows.variants if variant.is_peer]
    if not peers:
        return
    kept = [variant for variant in peers if variant in good]
    lost = [variant.name for variant in peers if variant not in good]
    if lost:
        limit = bound_text(report.metric, report.settings.max_drop)
        yield f"Beyond a loss of {limit} of {metric_name(report.metric)}: {', '.join(lost)}."
    if not kept:
        return
    yield from _latency("one sentence", lambda v: v.latency, chosen, kept)
    if chosen.by_length:
        last = chosen.by_length[-1].measurement
        what = f"one row of {last.sequence_length} tokens"
        yield from _latency(what, lambda v: _cell(v, last.name), chosen, kept)
    yield from _throughput(chosen, kept)
    smallest = min(kept, key=lambda v: v.result.size.file_bytes)
    sizes = bytes_text(chosen.result.size.file_bytes), bytes_text(smallest.result.size.file_bytes)
    yield f"File: {sizes[0]}; the smallest peer, {smallest.name}, takes {sizes[1]}."


def _latency(
    what: str, find: Find, chosen: VariantSummary, peers: Sequence[VariantSummary]
) -> Iterator[str]:
    ours = find(chosen)
    measured = [(peer, latency) for peer in peers if (latency := find(peer)) is not None]
    if ours is None or not measured:
        return
    best, theirs = min(measured, key=lambda pair: pair[1].median.estimate)
    ratio = quantile_ratio(theirs.measurement.rounds, ours.measurement.rounds)
    times = seconds_text(ours.median.estimate), seconds_text(theirs.median.estimate)
    yield (
        f"{what.capitalize()}: {times[0]}; the fastest peer, {best.name}, takes {times[1]}, "
        f"so {_ahead(chosen.name, best.name, ratio)}."
    )


def _throughput(chosen: VariantSummary, peers: Sequence[VariantSummary]) -> Iterator[str]:
    ours = chosen.best_throughput
    measured = [(peer, rate) for peer in peers if (rate := peer.best_throughput) is not None]
    if ours is None or not measured:
        return
    best, rate = max(measured, key=lambda pair: pair[1].sentences_per_s.estimate)
    mine, theirs = ours.sentences_per_s, rate.sentences_per_s
    ratio = Interval(
        mine.estimate / theirs.estimate, mine.low / theirs.high, mine.high / theirs.low
    )
    yield (
        f"All at once: {rate_text(mine.estimate)} sentences a second; the fastest peer, "
        f"{best.name}, reaches {rate_text(theirs.estimate)}, so "
        f"{_ahead(chosen.name, best.name, ratio)}."
    )


def _ahead(own: str, peer: str, ratio: Interval) -> str:
    """Says who is ahead; `ratio` is how many times as fast our own is."""
    if ratio.low > 1.0:
        return f"{own} is {ratio.estimate:.2f} times as fast ({ratio_interval(ratio)})"
    if ratio.high < 1.0:
        other = Interval(1 / ratio.estimate, 1 / ratio.high, 1 / ratio.low, ratio.confidence)
        return f"{peer} is {other.estimate:.2f} times as fast ({ratio_interval(other)})"
    return f"neither is shown to be faster ({ratio.estimate:.2f} times, {ratio_interval(ratio)})"


def _cell(variant: VariantSummary, name: str) -> Latency | None:
    return next((cell for cell in variant.by_length if cell.measurement.name == name), None)
