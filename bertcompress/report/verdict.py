"""The verdict: which variant to ship and why, what is not proven, and what did not work.

A variant may be shipped when its primary metric fell by no more than the accepted drop. Among
those, the fastest whose speed-up over the baseline is shown (the interval lies above 1 by more
than the machine can resolve) is chosen; variants that the intervals can't tell apart from it are
decided by their file size. Nothing faster: the smallest that is not slower. Nothing at all: keep
the baseline. Every sentence is computed from the report; none is ever softened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bertcompress.formatting import (
    bound_text,
    bytes_text,
    change_interval,
    change_text,
    metric_name,
    metric_text,
    p_text,
    quantile_name,
    ratio_interval,
    seconds_text,
)
from bertcompress.report.peer_sentences import peer_sentences
from bertcompress.report.schema import Report
from bertcompress.report.variant_summary import Rows, VariantSummary, accuracy_drop
from bertcompress.stats.bootstrap import quantile_ratio

PEERS_HEADING = "Beside what others make"
DOUBTS_HEADING = "What this run does not prove"
SMALL_RATIO = 1.5
"""From here on a file counts as much smaller."""


@dataclass(frozen=True)
class Verdict:
    """What to do, in sentences.

    Attributes:
        ship: The variant to ship.
        headline: The verdict in a few words.
        reasons: Why.
        doubts: What this run does not prove.
        others: A sentence for each variant that was not chosen.
        peers: How it compares with what others make, if that was measured.
    """

    ship: str
    headline: str
    reasons: tuple[str, ...]
    doubts: tuple[str, ...]
    others: tuple[str, ...]
    peers: tuple[str, ...] = ()

    @property
    def lists(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What follows the reasons: a heading and its sentences each, none without sentences."""
        lists = (
            (PEERS_HEADING, self.peers),
            (DOUBTS_HEADING, self.doubts),
            ("The others", self.others),
        )
        return tuple((heading, sentences) for heading, sentences in lists if sentences)

    @property
    def sentences(self) -> tuple[str, ...]:
        """All of it in reading order."""
        return (self.headline, *self.reasons, *self.peers, *self.doubts, *self.others)


def verdict_on(report: Report, rows: Rows, noise: Sequence[str]) -> Verdict:
    """Returns the verdict on a report.

    Args:
        report: The report.
        rows: Its figures.
        noise: Why no timing of it may decide a gate.
    """
    chosen = _choose(report, rows)
    others = [v for v in _own(rows) if v.name != chosen.name]
    good = [v for v in rows.variants if _acceptable(v, report, rows)]
    return Verdict(
        ship=chosen.name,
        headline=_headline(chosen, rows),
        reasons=tuple(_reasons(chosen, report, rows)),
        doubts=tuple(_doubts(chosen, report, rows, noise)),
        others=tuple(_other(variant, chosen, report) for variant in others),
        peers=tuple(peer_sentences(chosen, good, report, rows)),
    )


def is_faster(variant: VariantSummary, rows: Rows) -> bool:
    """Tells whether the speed-up is shown: beyond its interval and beyond the machine's noise."""
    speedup = variant.latency.speedup if variant.latency else None
    if speedup is None:
        return False
    noise = rows.resolution or 0.0
    return speedup.low > 1.0 and speedup.estimate > 1.0 + noise


def is_slower(variant: VariantSummary) -> bool:
    """Tells whether the interval of the speed-up lies below 1."""
    speedup = variant.latency.speedup if variant.latency else None
    return speedup is not None and speedup.high < 1.0


def _acceptable(variant: VariantSummary, report: Report, rows: Rows) -> bool:
    drop = accuracy_drop(variant, rows)
    return drop is None or drop <= report.settings.max_drop + 1e-12


def _choose(report: Report, rows: Rows) -> VariantSummary:
    good = [variant for variant in _own(rows) if _acceptable(variant, report, rows)]
    faster = [variant for variant in good if is_faster(variant, rows)]
    if faster:
        best = min(faster, key=_median)
        level = [variant for variant in faster if not _shown_slower(variant, best)]
        return min(level, key=lambda variant: variant.result.size.file_bytes)
    smaller = [v for v in good if v.size_ratio >= SMALL_RATIO and not is_slower(v)]
    return min(smaller, key=lambda v: v.result.size.file_bytes, default=rows.base)


def _own(rows: Rows) -> list[VariantSummary]:
    """Returns what could be shipped in the baseline's place: peers are there to compare with."""
    return [v for v in rows.variants if not v.is_baseline and not v.is_peer]


def _median(variant: VariantSummary) -> float:
    return variant.latency.median.estimate if variant.latency else float("inf")


def _shown_slower(variant: VariantSummary, best: VariantSummary) -> bool:
    if variant is best or variant.latency is None or best.latency is None:
        return False
    mine, first = variant.latency.measurement, best.latency.measurement
    return quantile_ratio(mine.rounds, first.rounds).low > 1.0


def _headline(chosen: VariantSummary, rows: Rows) -> str:
    if chosen.is_baseline:
        return f"Keep {chosen.name}."
    if is_faster(chosen, rows):
        return f"Ship {chosen.name}."
    return f"Ship {chosen.name} for its size."


def _reasons(chosen: VariantSummary, report: Report, rows: Rows) -> Iterator[str]:
    base = rows.base
    if chosen.is_baseline:
        if not _own(rows):
            yield "Nothing was measured beside it."
            return
        limit = bound_text(report.metric, report.settings.max_drop)
        yield (
            f"No variant is both shown to be better and within {limit} of its "
            f"{metric_name(report.metric)}."
        )
        return
    if chosen.latency and base.latency and chosen.latency.speedup:
        speedup = chosen.latency.speedup
        span = ratio_interval(speedup)
        times = f"{speedup.estimate:.2f} times as fast ({span})"
        yield (
            f"It answers a single sentence in {seconds_text(chosen.latency.median.estimate)} "
            f"where {base.name} takes {seconds_text(base.latency.median.estimate)}: "
            f"{times if is_faster(chosen, rows) else f'not shown to be faster ({span})'}."
        )
    yield (
        f"It takes {bytes_text(chosen.result.size.file_bytes)} instead of "
        f"{bytes_text(base.result.size.file_bytes)}."
    )
    ours, first, paired = chosen.result.accuracy, base.result.accuracy, chosen.result.paired
    if ours and first and paired:
        yield (
            f"Its {metric_name(ours.metric)} is {metric_text(ours.metric, ours.value)}, "
            f"that of {base.name} {metric_text(first.metric, first.value)}: a change of "
            f"{change_text(ours.metric, ours.value - first.value)}."
        )


def _doubts(
    chosen: VariantSummary, report: Report, rows: Rows, noise: Sequence[str]
) -> Iterator[str]:
    if noise:
        yield f"The machine was too noisy for gates on speed, which abstain: {'; '.join(noise)}."
    yield from _accuracy_doubts(chosen, report)
    if chosen.latency and chosen.latency.speedup and not chosen.is_baseline:
        speedup = chosen.latency.speedup
        if speedup.holds(1.0):
            yield (
                f"That {chosen.name} is faster than {rows.base.name} is not proven: the "
                f"interval of the speed-up, {ratio_interval(speedup)}, holds 1."
            )
    if rows.resolution is not None:
        yield (
            f"Differences in latency below {rows.resolution:.1%} mean nothing here: so far "
            f"apart are two measurements of {rows.base.name} itself."
        )
    yield from _missing_percentiles(rows.base)
    if report.settings.rounds == 1:
        yield "One round only: how much processes differ from one another is not in any interval."
    for note in report.notes:
        if note not in noise:
            yield f"The machine was not quiet: {note}."
    for sentence in report.skipped:
        yield f"{sentence[:1].upper()}{sentence[1:]}."
    for variant in rows.variants:
        for note in variant.result.notes:
            yield f"{variant.name}: {note}."


def _accuracy_doubts(chosen: VariantSummary, report: Report) -> Iterator[str]:
    paired, limit = chosen.result.paired, report.settings.max_drop
    if chosen.result.accuracy is None:
        yield "Accuracy was not measured."
    if paired is None:
        return
    metric = paired.metric
    span = change_interval(metric, paired.difference)
    count = chosen.result.accuracy.count if chosen.result.accuracy else 0
    if paired.p_value >= 0.05:
        yield (
            f"Whether its {metric_name(metric)} changed at all is not shown by {count:,} examples "
            f"({p_text(paired.p_value)}, {paired.test}); the change lies within {span}."
        )
    bound = bound_text(metric, limit)
    if paired.difference.low < -limit:
        yield f"A loss of more than {bound} is not excluded: the interval is {span}."


def _missing_percentiles(base: VariantSummary) -> Iterator[str]:
    if base.latency is None:
        return
    missing = [p for p in base.latency.percentiles if p.value is None]
    if not missing:
        return
    parts = [f"{quantile_name(p.quantile)} ({p.missing:,} more)" for p in missing]
    yield f"Percentiles left out because they need more samples: {', '.join(parts)}."


def _other(variant: VariantSummary, chosen: VariantSummary, report: Report) -> str:
    parts = [*_speed_part(variant, chosen, report.baseline), *_loss_part(variant, report)]
    return f"{variant.name} {' and '.join(parts) or 'was not chosen'}."


def _speed_part(variant: VariantSummary, chosen: VariantSummary, base: str) -> Iterator[str]:
    speedup = variant.latency.speedup if variant.latency else None
    if speedup is None:
        return
    times = f"{speedup.estimate:.2f} times, {ratio_interval(speedup)}"
    much_smaller = variant.size_ratio >= SMALL_RATIO
    size = bytes_text(variant.result.size.file_bytes)
    if speedup.high < 1.0 and much_smaller:
        yield f"is slower than {base} ({times}); at {size} it is a format for size, not for speed"
    elif speedup.high < 1.0:
        yield f"is slower than {base} ({times})"
    elif speedup.holds(1.0) and much_smaller:
        yield f"is not shown to be faster than {base} ({times}); what it gives is its size, {size}"
    elif speedup.holds(1.0):
        yield f"is not shown to differ from {base} in speed ({times})"
    elif chosen.is_baseline or variant.latency is None or chosen.latency is None:
        yield f"is faster than {base} ({times})"
    elif _shown_slower(variant, chosen):
        yield f"is faster than {base} ({times}) but slower than {chosen.name}"
    elif _shown_slower(chosen, variant):
        yield f"beats {base} ({times}) and {chosen.name} in speed"
    else:
        larger = variant.result.size.file_bytes >= chosen.result.size.file_bytes
        why = f"larger than {chosen.name}" if larger else f"not shown to beat {chosen.name}"
        yield f"is faster than {base} ({times}) but {why}"


def _loss_part(variant: VariantSummary, report: Report) -> Iterator[str]:
    ours, first, paired = variant.result.accuracy, report.base.accuracy, variant.result.paired
    if ours is None or first is None or paired is None:
        return
    change = ours.value - first.value
    if change < -report.settings.max_drop - 1e-12:
        sure = "" if paired.p_value < 0.05 else ", though not beyond chance"
        name = metric_name(ours.metric)
        yield f"loses more {name} than accepted ({change_text(ours.metric, change)}{sure})"
