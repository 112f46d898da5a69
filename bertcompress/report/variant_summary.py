"""The figures of each variant, computed from a report's raw samples.

Everything here is a function of the report: rendering one twice gives the same digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bertcompress.bench.tuning import CandidateRate
from bertcompress.formatting import streams_text
from bertcompress.inference.best_settings import RuntimeSettings
from bertcompress.report.schema import Measurement, Report, VariantResult
from bertcompress.report.svg import PEER_SERIES, SERIES
from bertcompress.stats.bootstrap import median_interval, quantile_ratio
from bertcompress.stats.intervals import (
    REPORTED_QUANTILES,
    Interval,
    Percentile,
    coefficient_of_variation,
    percentile,
)


@dataclass(frozen=True)
class Latency:
    """Seconds a call.

    Attributes:
        measurement: Where the samples are.
        median: With its interval.
        percentiles: Each with its value or the number of samples missing.
        variation: The coefficient of variation over all samples, lengths mixed.
        speedup: Baseline median over this median; None for the baseline.
        speedup_p99: The same of the p99, None where it has too few samples.
    """

    measurement: Measurement
    median: Interval
    percentiles: tuple[Percentile, ...]
    variation: float | None
    speedup: Interval | None
    speedup_p99: Interval | None = None


@dataclass(frozen=True)
class Throughput:
    """Offline rates at one batch size: sentences and tokens a second, and against the baseline."""

    batch_size: int
    sentences_per_s: Interval
    tokens_per_s: float
    padding_fraction: float
    speedup: Interval | None


@dataclass(frozen=True)
class VariantSummary:
    """One row as people read it.

    Attributes:
        result: The raw row.
        is_baseline: Whether the others are compared with this one.
        latency: On the data's own lengths, None if not measured.
        by_length: On the grid, sorted by batch size and length.
        throughput: By batch size.
        size_ratio: Baseline bytes over this artifact's bytes.
        peak_bytes: Median over the rounds, single sentences only.
        load_s: Median over the rounds.
        first_answer_s: Median over the rounds.
        best_latency: At the best number of threads; None if not measured, or no other number.
        best_offline: At the best streams, batch and order; None if not measured.
    """

    result: VariantResult
    is_baseline: bool
    latency: Latency | None
    by_length: tuple[Latency, ...]
    throughput: tuple[Throughput, ...]
    size_ratio: float
    peak_bytes: int | None
    load_s: float | None
    first_answer_s: float | None
    best_latency: Latency | None = None
    best_offline: Throughput | None = None

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.result.name

    @property
    def is_peer(self) -> bool:
        """Whether another library made it, to be compared with."""
        return self.result.kind == "peer"

    @property
    def best_throughput(self) -> Throughput | None:
        """The highest rate, at the best settings or at one of the batch sizes."""
        rates = (*self.throughput, *([self.best_offline] if self.best_offline else []))
        return max(rates, key=lambda t: t.sentences_per_s.estimate, default=None)

    @property
    def best_throughput_settings(self) -> str:
        """What the highest rate was reached with, as people read it."""
        best, tuning = self.best_throughput, self.result.tuning
        if best is None:
            return ""
        if best is not self.best_offline or tuning is None:
            return f"batch {best.batch_size}"
        return settings_text(tuning.settings)


@dataclass(frozen=True)
class Rows:
    """All rows, the baseline first, and what the machine can resolve.

    Attributes:
        variants: A row for each.
        resolution: The smallest relative difference that a median of this run can show: how far
            the baseline's second measurement, with its interval, is from its first. None if the
            baseline was measured once.
        again: That comparison itself.
        tokenization_s: Median seconds of tokenizing one example, None if not measured.
    """

    variants: tuple[VariantSummary, ...]
    resolution: float | None
    again: Interval | None
    tokenization_s: float | None = None

    @property
    def base(self) -> VariantSummary:
        """The baseline's row."""
        return next(variant for variant in self.variants if variant.is_baseline)

    @property
    def own(self) -> list[VariantSummary]:
        """All but the peers: drawings with a line for each would drown in theirs."""
        return [variant for variant in self.variants if not variant.is_peer]

    @property
    def series(self) -> dict[str, int]:
        """Each variant's number, which is its colour and shape on the whole page."""
        return {
            variant.name: PEER_SERIES if variant.is_peer else number % SERIES
            for number, variant in enumerate(self.variants)
        }


def settings_text(settings: RuntimeSettings | CandidateRate) -> str:
    """Returns streams, threads, batch and order as people read them."""
    return streams_text(
        settings.streams,
        settings.threads,
        settings.batch_size,
        sort_by_length=settings.sort_by_length,
    )


def rows_of(report: Report) -> Rows:
    """Computes the figures of every variant."""
    base = report.base
    variants = tuple(
        _summary_of(result, base, is_baseline=result.name == report.baseline)
        for result in report.results
    )
    again = None
    first = _find(base, "single-stream")
    if report.again is not None and first:
        again = quantile_ratio(first[0].rounds, report.again.rounds)
    resolution = max(abs(again.low - 1.0), abs(again.high - 1.0)) if again else None
    tokenized = median(report.tokenization_s) if report.tokenization_s else None
    return Rows(variants, resolution, again, tokenized)


def accuracy_drop(variant: VariantSummary, rows: Rows) -> float | None:
    """Returns how far the primary metric fell below the baseline's; None if it was not measured."""
    accuracy, base = variant.result.accuracy, rows.base.result.accuracy
    return base.value - accuracy.value if accuracy and base else None


def joules_per_sentence(measurement: Measurement) -> float | None:
    """Returns the energy of one sentence over all rounds, None where it was not measured."""
    energy = [joules for joules in measurement.energy_j if joules is not None]
    if not energy or len(energy) < len(measurement.rounds):
        return None
    return sum(energy) / sum(sum(sentences) for sentences in measurement.sentences)


def _summary_of(result: VariantResult, base: VariantResult, *, is_baseline: bool) -> VariantSummary:
    against = None if is_baseline else base
    single = [_latency(m, against) for m in _find(result, "single-stream")]
    by_length = [_latency(m, against) for m in _find(result, "grid")]
    by_length.sort(key=lambda x: (x.measurement.batch_size, x.measurement.sequence_length or 0))
    throughput = [_throughput(m, against) for m in _find(result, "offline")]
    best_own = [_latency(m, against) for m in _find(result, "best-single-stream")]
    best_offline = [_throughput(m, against) for m in _find(result, "best-offline")]
    return VariantSummary(
        result=result,
        is_baseline=is_baseline,
        latency=single[0] if single else None,
        by_length=tuple(by_length),
        throughput=tuple(sorted(throughput, key=lambda t: t.batch_size)),
        size_ratio=base.size.file_bytes / max(1, result.size.file_bytes),
        peak_bytes=_middle([sample.latency_peak_bytes for sample in result.memory]),
        load_s=median(result.load_s) if result.load_s else None,
        first_answer_s=median(result.first_answer_s) if result.first_answer_s else None,
        best_latency=best_own[0] if best_own else None,
        best_offline=best_offline[0] if best_offline else None,
    )


def _find(result: VariantResult, scenario: str) -> list[Measurement]:
    return [m for m in result.measurements if m.scenario == scenario]


def _same_workload(measurement: Measurement, base: VariantResult | None) -> Measurement | None:
    if base is None:
        return None
    return next((m for m in base.measurements if m.name == measurement.name), None)


def _latency(measurement: Measurement, base: VariantResult | None) -> Latency:
    samples = [second for seconds in measurement.rounds for second in seconds]
    percentiles = tuple(percentile(samples, quantile) for quantile in REPORTED_QUANTILES)
    reference = _same_workload(measurement, base)
    speedup = speedup_p99 = None
    if reference is not None:
        first, second = reference.rounds, measurement.rounds
        speedup = quantile_ratio(first, second)
        if all(p.value is not None for p in percentiles if p.quantile == 0.99):
            speedup_p99 = quantile_ratio(first, second, quantile=0.99)
    middle = median_interval(measurement.rounds)
    variation = coefficient_of_variation(samples)
    return Latency(measurement, middle, percentiles, variation, speedup, speedup_p99)


def _throughput(measurement: Measurement, base: VariantResult | None) -> Throughput:
    per_round = _seconds_per_sentence(measurement)
    slow = median_interval(per_round)
    reference = _same_workload(measurement, base)
    speedup = None
    if reference is not None:
        before = _seconds_per_sentence(reference)
        speedup = quantile_ratio(before, per_round)
    seconds = sum(sum(values) for values in measurement.rounds)
    tokens = sum(sum(values) for values in measurement.tokens)
    return Throughput(
        batch_size=measurement.batch_size,
        sentences_per_s=Interval(1 / slow.estimate, 1 / slow.high, 1 / slow.low, slow.confidence),
        tokens_per_s=tokens / seconds,
        padding_fraction=measurement.padding_fraction,
        speedup=speedup,
    )


def _seconds_per_sentence(measurement: Measurement) -> list[list[float]]:
    return [
        [sum(seconds) / sum(sentences)]
        for seconds, sentences in zip(measurement.rounds, measurement.sentences, strict=True)
    ]


def _middle(values: Sequence[int]) -> int | None:
    return int(median(values)) if values else None
