"""The gates of a comparison: what head may not do worse than base.

All but the slowdown are figures without noise, so they hold on any machine: answers to the same
examples, parameters, operations, bytes, counts of kernels. Memory has a little, hence a tolerance.
A figure that only one side has is a doubt, and the gate abstains; one that neither has is left out.

Kernels. A product that falls back to float is a loss, and so is a graph of more operators: an
operator that is no longer fused is several. Fewer fused operators are a loss only while the
graph does not get smaller as a whole, since a build with fewer layers has fewer of everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from bertcompress.bench.paired import Paired
from bertcompress.formatting import (
    bound_text,
    bytes_text,
    change_text,
    count_text,
    metric_name,
    percent_change,
    percent_text,
)
from bertcompress.gates.comparison import Build, CompareSettings
from bertcompress.gates.gate import GateResult, State
from bertcompress.gates.variant_counts import FLOAT_PRODUCTS
from bertcompress.stats.slowdown import Slowdown

ALL_OPERATORS = "all operators"


def answers_gate(base: Build, head: Build, paired: Paired, settings: CompareSettings) -> GateResult:
    """Compares the primary metric on the same examples."""
    before, after = base.accuracy, head.accuracy
    drop = before.value - after.value
    sentence = (
        f"{head.name}: {metric_name(after.metric)} changed by {change_text(after.metric, -drop)} "
        f"on {count_text(after.count)} examples ({paired.lost} lost, {paired.gained} gained), "
        f"a loss of {bound_text(after.metric, settings.max_drop)} is allowed"
    )
    state: State = "passed" if drop <= settings.max_drop + 1e-12 else "failed"
    return GateResult(head.name, "drop", state, sentence, is_accuracy=True)


def counted_gates(base: Build, head: Build, settings: CompareSettings) -> Iterator[GateResult]:
    """Compares everything that is counted: parameters, operations, bytes, memory, kernels."""
    names = (base.name, head.name)
    growth, memory = settings.max_growth, settings.max_memory_growth
    for gate, before, after, text in (
        ("parameters", base.size.parameters, head.size.parameters, count_text),
        ("operations", base.operations, head.operations, _operations_text),
        ("float operations", base.float_operations, head.float_operations, _operations_text),
        ("file size", base.size.file_bytes, head.size.file_bytes, bytes_text),
    ):
        yield from _growth(names, gate, (before, after), growth, text)
    yield from _growth(names, "peak memory", (base.peak_bytes, head.peak_bytes), memory, bytes_text)
    if settings.kernels:
        yield from kernel_gates(names, base.kernels, head.kernels)


def kernel_gates(
    names: tuple[str, str], base: Mapping[str, int], head: Mapping[str, int]
) -> Iterator[GateResult]:
    """Compares the counts of kernels and fusions; see the module's docstring.

    Args:
        names: Of base and head.
        base: Counts by kernel, as an artifact's history has them.
        head: The same of head.
    """
    if not base and not head:
        return
    if not base or not head:
        missing = names[0] if not base else names[1]
        sentence = f"{names[1]}: kernels can't be compared, {missing} has no counts of them"
        yield GateResult(names[1], "kernels", "abstained", sentence)
        return
    smaller = head.get(ALL_OPERATORS, 0) < base.get(ALL_OPERATORS, 0)
    worse = []
    for name in dict.fromkeys([*base, *head]):
        before, after = base.get(name, 0), head.get(name, 0)
        more_is_worse = name in (FLOAT_PRODUCTS, ALL_OPERATORS)
        if (more_is_worse and after > before) or (
            not more_is_worse and after < before and not smaller
        ):
            worse.append(f"{name} {before} → {after}")
    sentence = f"{names[1]}: {', '.join(worse) if worse else 'no kernel or fusion was lost'}"
    yield GateResult(names[1], "kernels", "failed" if worse else "passed", sentence)


def slowdown_gate(
    slowdown: Slowdown, settings: CompareSettings, *, name: str, doubts: tuple[str, ...] = ()
) -> GateResult:
    """Decides on the slowdown; abstains, with the reason, where the machine can't tell."""
    allowed = settings.max_slowdown
    decision = slowdown.decide(allowed)
    sentence = f"{name}: {slowdown_text(slowdown)}; {percent_text(allowed)} slower is allowed"
    if decision != "undecided":
        return GateResult(name, "slowdown", decision, sentence)
    sentence += (
        f", but after {slowdown.rounds} rounds this machine tells a slowdown from none only from "
        f"{percent_text(slowdown.resolution)} on"
    )
    reasons = "; ".join(doubts)
    return GateResult(
        name, "slowdown", "abstained", f"{sentence}; {reasons}" if reasons else sentence
    )


def slowdown_text(slowdown: Slowdown) -> str:
    """Returns ``5.1 % slower than base (99 % bounds: +4.2 % and +6.0 %)``."""
    change = percent_text(abs(slowdown.estimate))
    words = f"{change} {'slower' if slowdown.estimate > 0 else 'faster'} than base"
    if change == "0 %":
        words = "as fast as base"
    return (
        f"{words} ({percent_text(slowdown.confidence)} bounds: {percent_change(slowdown.low)} and "
        f"{percent_change(slowdown.high)})"
    )


def _growth(
    names: tuple[str, str],
    gate: str,
    counts: tuple[int | None, int | None],
    limit: float,
    text: Callable[[int], str],
) -> Iterator[GateResult]:
    before, after = counts
    if before is None and after is None:
        return
    if before is None or after is None:
        missing = names[0] if before is None else names[1]
        sentence = f"{names[1]}: {gate} can't be compared, {missing} does not tell"
        yield GateResult(names[1], gate, "abstained", sentence)
        return
    growth = after / before - 1.0 if before else float(after > 0)
    sentence = (
        f"{names[1]}: {gate} {text(before)} → {text(after)} ({percent_change(growth)}), "
        f"{percent_text(limit)} more is allowed"
    )
    yield GateResult(names[1], gate, "passed" if growth <= limit else "failed", sentence)


def _operations_text(count: int) -> str:
    return f"{count / 1e9:.3g} G"
