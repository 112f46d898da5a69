"""What people read of a report: its figures, its verdict, and which variants nothing else beats.

One variant dominates another when it is *shown* to be better on one axis (the interval excludes
equality) and is, by its estimate, no worse on the other. A lead inside the noise dominates
nobody: such variants stay on the front side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bertcompress.report.noise import too_noisy
from bertcompress.report.schema import Report
from bertcompress.report.variant_summary import Rows, VariantSummary, rows_of
from bertcompress.report.verdict import Verdict, verdict_on
from bertcompress.stats.bootstrap import quantile_ratio

Cost = Callable[[VariantSummary, VariantSummary], tuple[bool, bool]]
"""Of a pair: is the first shown to cost less, and does it cost no more by its estimate?"""


@dataclass(frozen=True, kw_only=True)
class Summary(Rows):
    """All rows, and what they come to.

    Attributes:
        noise: Why no timing of the run may decide a gate; empty for a machine quiet enough.
        verdict: What to do.
    """

    noise: tuple[str, ...]
    verdict: Verdict


def summarize(report: Report) -> Summary:
    """Computes all figures of a report and its verdict."""
    rows = rows_of(report)
    noise = too_noisy(report, rows)
    return Summary(
        rows.variants,
        rows.resolution,
        rows.again,
        rows.tokenization_s,
        noise=noise,
        verdict=verdict_on(report, rows, noise),
    )


def front(variants: Sequence[VariantSummary], cost: Cost) -> list[str]:
    """Returns the names of the variants that no other dominates, in order."""
    return [
        variant.name
        for variant in variants
        if not any(dominates(other, variant, cost) for other in variants if other is not variant)
    ]


def dominates(first: VariantSummary, second: VariantSummary, cost: Cost) -> bool:
    """Tells whether the first beats the second; see the module's docstring."""
    cheaper, no_dearer = cost(first, second)
    better, no_worse = _accuracy(first, second)
    return (cheaper and no_worse) or (better and no_dearer)


def latency_cost(first: VariantSummary, second: VariantSummary) -> tuple[bool, bool]:
    """Compares single-stream medians, round by round."""
    if first.latency is None or second.latency is None:
        return False, True
    mine, other = first.latency.measurement.rounds, second.latency.measurement.rounds
    ratio = quantile_ratio(other, mine)
    return ratio.low > 1.0, ratio.estimate >= 1.0


def throughput_cost(first: VariantSummary, second: VariantSummary) -> tuple[bool, bool]:
    """Compares the best offline rates: shown higher if the intervals do not touch."""
    mine, other = first.best_throughput, second.best_throughput
    if mine is None or other is None:
        return False, True
    rate, least = mine.sentences_per_s, other.sentences_per_s
    return rate.low > least.high, rate.estimate >= least.estimate


def size_cost(first: VariantSummary, second: VariantSummary) -> tuple[bool, bool]:
    """Compares file bytes, which carry no noise."""
    mine, other = first.result.size.file_bytes, second.result.size.file_bytes
    return mine < other, mine <= other


def _accuracy(first: VariantSummary, second: VariantSummary) -> tuple[bool, bool]:
    """Compares the changes from the baseline: shown better if the intervals do not touch."""
    mine, other = first.result.accuracy, second.result.accuracy
    if mine is None or other is None:
        return False, True
    return _change(first)[0] > _change(second)[1], mine.value >= other.value


def _change(variant: VariantSummary) -> tuple[float, float]:
    paired = variant.result.paired
    return (paired.difference.low, paired.difference.high) if paired else (0.0, 0.0)
