"""Gates: bounds that a report must keep, each with an exit code.

Figures without noise (answers on the same examples, bytes) are compared as they are. Timings have
intervals: a bound is kept when the estimate keeps it, broken when the whole interval breaks it,
and in between the gate abstains and says so, since a gate that fails on noise is soon switched
off. On a machine too noisy to tell (`bertcompress.report.noise`) it abstains whatever the timings
are. Nothing measured is a failure, never a pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bertcompress.errors import AccuracyGateError, SpeedGateError, UsageError, did_you_mean
from bertcompress.formatting import (
    bound_text,
    bytes_text,
    change_interval,
    change_text,
    count_text,
    metric_name,
    ratio_interval,
    ratio_text,
    seconds_text,
)
from bertcompress.gates.variant_counts import FLOAT_PRODUCTS, counts_of
from bertcompress.report.schema import Report
from bertcompress.report.summary import Summary, summarize
from bertcompress.report.variant_summary import VariantSummary, accuracy_drop
from bertcompress.stats.intervals import Interval

State = Literal["passed", "failed", "abstained"]


@dataclass(frozen=True)
class GateLimits:
    """Bounds; None asks nothing.

    Attributes:
        max_drop: Loss of the primary metric against the baseline, a fraction.
        min_speedup: Median speed-up over the baseline, one sentence at a time.
        max_latency_s: Median latency of one sentence, seconds.
        max_size_bytes: The file or files that the runtime loads.
        max_memory_bytes: Peak resident memory of a process that answers single sentences.
        max_parameters: Weights.
        max_operations: Multiplications and additions for one sentence of 128 tokens.
        max_float_products: Weight products that the runtime computes in float.
    """

    max_drop: float | None = None
    min_speedup: float | None = None
    max_latency_s: float | None = None
    max_size_bytes: int | None = None
    max_memory_bytes: int | None = None
    max_parameters: int | None = None
    max_operations: int | None = None
    max_float_products: int | None = None

    def __post_init__(self) -> None:
        if self.max_drop is not None and not 0.0 <= self.max_drop < 1.0:
            raise UsageError(
                f"max_drop must be in [0, 1), got {self.max_drop:g}; did you mean "
                f"{self.max_drop / 100:g}?"
            )
        bounds = (
            self.min_speedup,
            self.max_latency_s,
            self.max_size_bytes,
            self.max_memory_bytes,
            self.max_parameters,
            self.max_operations,
        )
        if any(bound is not None and bound <= 0 for bound in bounds):
            raise UsageError("a gate's bound must be above 0")
        if self.max_float_products is not None and self.max_float_products < 0:
            raise UsageError(
                f"max_float_products must not be below 0, got {self.max_float_products}"
            )


@dataclass(frozen=True)
class GateResult:
    """One bound on one variant.

    Attributes:
        variant: Whose.
        gate: The bound's name.
        state: Whether it was kept.
        sentence: What was measured and what is asked.
        is_accuracy: Whether it is about answers; all others are about speed and size.
    """

    variant: str
    gate: str
    state: State
    sentence: str
    is_accuracy: bool = False


def check_gates(
    report: Report,
    limits: GateLimits,
    *,
    variants: Sequence[str] = (),
    summary: Summary | None = None,
) -> tuple[GateResult, ...]:
    """Compares a report with bounds.

    Args:
        report: The report.
        limits: The bounds.
        variants: Which variants; all but the baseline and the peers if none is named.
        summary: The report's figures, if they are at hand already.

    Raises:
        UsageError: If a variant is not in the report.
    """
    summary = summary or summarize(report)
    by_name = {variant.name: variant for variant in summary.variants}
    for name in variants:
        if name not in by_name:
            raise UsageError(
                f"the report has no variant {name!r}{did_you_mean(name, by_name)}; "
                f"it has {', '.join(by_name)}"
            )
    ours = [v.name for v in summary.variants if not v.is_baseline and not v.is_peer]
    names = list(variants) or ours
    return tuple(
        result for name in names for result in _results(by_name[name], report, limits, summary)
    )


def gates_sentence(results: Sequence[GateResult]) -> str:
    """Returns in one line how many bounds were kept, and first which were not decided."""
    passed = sum(result.state == "passed" for result in results)
    text = f"{passed} of {len(results)} gates passed"
    undecided = [f"{one.gate} of {one.variant}" for one in results if one.state == "abstained"]
    if not undecided:
        return text
    return (
        f"{text}, {len(undecided)} abstained, which decides nothing: {', '.join(undecided)}; "
        "--fail-on-abstain makes that a failure"
    )


def enforce(results: Sequence[GateResult], *, fail_on_abstain: bool = False) -> None:
    """Fails if a bound was broken, on answers first.

    Args:
        results: Of `check_gates`.
        fail_on_abstain: Whether a bound that can't be decided counts as broken.

    Raises:
        AccuracyGateError: If a bound on answers was broken.
        SpeedGateError: If another one was.
    """
    bad = ("failed", "abstained") if fail_on_abstain else ("failed",)
    failed = [result for result in results if result.state in bad]
    if not failed:
        return
    text = "; ".join(result.sentence for result in failed)
    if any(result.is_accuracy for result in failed):
        raise AccuracyGateError(text)
    raise SpeedGateError(text)


def _results(
    variant: VariantSummary, report: Report, limits: GateLimits, summary: Summary
) -> Iterator[GateResult]:
    if limits.max_drop is not None:
        yield _drop(variant, limits.max_drop, report, summary)
    noise = summary.noise
    if limits.min_speedup is not None:
        yield _unless_noisy(_speedup(variant, limits.min_speedup, report), variant, noise)
    if limits.max_latency_s is not None:
        yield _unless_noisy(_latency(variant, limits.max_latency_s), variant, noise)
    if limits.max_size_bytes is not None:
        yield _bytes(variant, "size", variant.result.size.file_bytes, limits.max_size_bytes)
    if limits.max_memory_bytes is not None:
        yield _bytes(variant, "memory", variant.peak_bytes, limits.max_memory_bytes)
    counts = counts_of(variant.result)
    for gate, count, limit in (
        ("parameters", counts.parameters, limits.max_parameters),
        ("operations", counts.operations, limits.max_operations),
        (FLOAT_PRODUCTS, counts.float_products, limits.max_float_products),
    ):
        if limit is not None:
            yield _count(variant, gate, count, limit)


def _drop(variant: VariantSummary, limit: float, report: Report, summary: Summary) -> GateResult:
    drop, metric = accuracy_drop(variant, summary), report.metric
    if drop is None:
        sentence = f"{variant.name}: its {metric_name(metric)} was not measured"
        return GateResult(variant.name, "drop", "failed", sentence, is_accuracy=True)
    paired = variant.result.paired
    span = f" ({change_interval(metric, paired.difference)})" if paired else ""
    sentence = (
        f"{variant.name}: {metric_name(metric)} changed by {change_text(metric, -drop)}{span}, "
        f"a loss of {bound_text(metric, limit)} is allowed"
    )
    state: State = "passed" if drop <= limit + 1e-12 else "failed"
    return GateResult(variant.name, "drop", state, sentence, is_accuracy=True)


def _speedup(variant: VariantSummary, limit: float, report: Report) -> GateResult:
    speedup = variant.latency.speedup if variant.latency else None
    if speedup is None:
        sentence = f"{variant.name}: its speed-up was not measured"
        return GateResult(variant.name, "speedup", "failed", sentence)
    sentence = (
        f"{variant.name}: {ratio_text(speedup.estimate)} as fast as {report.baseline} "
        f"({ratio_interval(speedup)}), {ratio_text(limit)} is asked"
    )
    state = _state(kept=speedup.estimate >= limit, broken=speedup.high < limit)
    return _with_noise(GateResult(variant.name, "speedup", state, sentence), report)


def _latency(variant: VariantSummary, limit: float) -> GateResult:
    median: Interval | None = variant.latency.median if variant.latency else None
    if median is None:
        sentence = f"{variant.name}: its latency was not measured"
        return GateResult(variant.name, "latency", "failed", sentence)
    sentence = (
        f"{variant.name}: {seconds_text(median.estimate)} for one sentence "
        f"({seconds_text(median.low)} to {seconds_text(median.high)}), "
        f"{seconds_text(limit)} are allowed"
    )
    state = _state(kept=median.estimate <= limit, broken=median.low > limit)
    return GateResult(variant.name, "latency", state, sentence)


def _bytes(variant: VariantSummary, gate: str, count: int | None, limit: int) -> GateResult:
    if count is None:
        return GateResult(variant.name, gate, "failed", f"{variant.name}: {gate} was not measured")
    sentence = (
        f"{variant.name}: {bytes_text(count)} of {'file' if gate == 'size' else 'memory'}, "
        f"{bytes_text(limit)} are allowed"
    )
    return GateResult(variant.name, gate, "passed" if count <= limit else "failed", sentence)


def _count(variant: VariantSummary, gate: str, count: int | None, limit: int) -> GateResult:
    if count is None:
        sentence = f"{variant.name}: its {gate} are not known"
        return GateResult(variant.name, gate, "failed", sentence)
    sentence = (
        f"{variant.name}: {count_text(count)} {gate}, at most {count_text(limit)} are allowed"
    )
    return GateResult(variant.name, gate, "passed" if count <= limit else "failed", sentence)


def _state(*, kept: bool, broken: bool) -> State:
    if kept:
        return "passed"
    return "failed" if broken else "abstained"


def _unless_noisy(result: GateResult, variant: VariantSummary, noise: Sequence[str]) -> GateResult:
    """Makes a gate on timings abstain where the machine was too noisy to tell."""
    if not noise or variant.latency is None:
        return result
    sentence = f"{result.sentence}; the machine was too noisy to tell: {'; '.join(noise)}"
    return replace(result, state="abstained", sentence=sentence)


def _with_noise(result: GateResult, report: Report) -> GateResult:
    """Names the machine's noise where the gate abstains because of it."""
    if result.state != "abstained" or not report.notes:
        return result
    sentence = f"{result.sentence}; {'; '.join(report.notes)}"
    return GateResult(result.variant, result.gate, result.state, sentence)
