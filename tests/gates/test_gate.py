"""Bounds and their exit codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bertcompress.errors import AccuracyGateError, SpeedGateError, UsageError
from bertcompress.gates.gate import GateLimits, GateResult, check_gates, enforce, gates_sentence
from bertcompress.gates.variant_counts import FLOAT_PRODUCTS
from bertcompress.profiling.operations import Operations
from bertcompress.report.schema import HistoryTable, Report
from bertcompress.report.summary import Summary, summarize

MakeReport = Callable[..., Report]


@pytest.fixture(scope="module")
def summary(report: Report) -> Summary:
    return summarize(report)


def states(results: tuple[GateResult, ...]) -> dict[str, str]:
    return {f"{result.variant} {result.gate}": result.state for result in results}


def test_bounds_are_compared_for_each_variant(report: Report, summary: Summary) -> None:
    limits = GateLimits(max_drop=0.005, min_speedup=2.0, max_size_bytes=30_000_000)

    found = states(check_gates(report, limits, summary=summary))

    assert found["INT8 drop"] == found["INT8 speedup"] == found["INT8 size"] == "passed"
    assert found["pruned speedup"] == found["pruned size"] == "failed"
    assert found["INT4 drop"] == "failed"
    assert not any(name.startswith("FP32") for name in found)


def test_broken_bounds_have_the_right_exit_code(report: Report, summary: Summary) -> None:
    slow = check_gates(report, GateLimits(min_speedup=9.0), variants=["INT8"], summary=summary)
    worse = check_gates(
        report, GateLimits(max_drop=0.0, min_speedup=9.0), variants=["INT4"], summary=summary
    )

    with pytest.raises(SpeedGateError, match=r"INT8: 2\.3.*9.00× is asked") as speed:
        enforce(slow)
    with pytest.raises(AccuracyGateError, match="INT4: accuracy changed by −") as accuracy:
        enforce(worse)
    assert (speed.value.exit_code, accuracy.value.exit_code) == (4, 3)


def test_what_is_not_decided_is_said_and_may_be_a_failure() -> None:
    results = (
        GateResult("INT8", "drop", "passed", "INT8: it kept it", is_accuracy=True),
        GateResult("INT8", "speedup", "abstained", "INT8: 1.9× to 2.1×"),
    )

    assert gates_sentence(results[:1]) == "1 of 1 gates passed"
    assert gates_sentence(results).startswith(
        "1 of 2 gates passed, 1 abstained, which decides nothing: speedup of INT8; "
    )
    enforce(results)
    with pytest.raises(SpeedGateError, match=r"INT8: 1\.9× to 2\.1×") as failed:
        enforce(results, fail_on_abstain=True)
    assert failed.value.exit_code == 4


def test_kept_bounds_raise_nothing(report: Report, summary: Summary) -> None:
    limits = GateLimits(max_latency_s=0.01, max_memory_bytes=500_000_000)

    enforce(check_gates(report, limits, summary=summary))


def test_a_bound_inside_the_interval_makes_the_gate_abstain(make_report: MakeReport) -> None:
    noisy = replace(make_report(), notes=("load 3.0 on 2 CPUs",))
    figures = summarize(noisy)
    speedup = next(v.latency.speedup for v in figures.variants if v.latency and v.latency.speedup)

    (result,) = check_gates(
        noisy,
        GateLimits(min_speedup=(speedup.estimate + speedup.high) / 2),
        variants=["pruned"],
        summary=figures,
    )

    assert result.state == "abstained"
    assert "load 3.0 on 2 CPUs" in result.sentence
    enforce([result])


def test_what_was_not_measured_fails(report: Report) -> None:
    bare = tuple(
        replace(result, accuracy=None, paired=None, measurements=(), memory=())
        for result in report.results
    )
    limits = GateLimits(0.01, 1.0, 1.0, 1_000_000_000, 1_000_000_000)

    found = states(check_gates(replace(report, results=bare, again=None), limits))

    assert found["INT8 size"] == "passed"
    assert {found[f"INT8 {gate}"] for gate in ("drop", "speedup", "latency", "memory")} == {
        "failed"
    }


def test_unknown_variants_and_impossible_bounds_are_refused(
    report: Report, summary: Summary
) -> None:
    with pytest.raises(UsageError, match="did you mean 'INT8'"):
        check_gates(report, GateLimits(), variants=["INT9"], summary=summary)
    with pytest.raises(UsageError, match=r"did you mean 0.01\?"):
        GateLimits(max_drop=1.0)
    with pytest.raises(UsageError, match="above 0"):
        GateLimits(min_speedup=0.0)


def counted(report: Report) -> Report:
    """Returns a report whose INT8 variant has all counts."""
    counts = {FLOAT_PRODUCTS: 1, "all operators": 139}
    unread = (("produits en flottant", 1),)  # gates read numbers, no table
    drawn = HistoryTable("noyaux", ("quoi", "valeur"), unread)
    results = [
        replace(
            result,
            operations=Operations(integer_per_token=21_000_000, weight_bytes=10_650_000),
            history=(replace(result.history[0], tables=(drawn,), kernels=counts),),
        )
        if result.name == "INT8"
        else result
        for result in report.results
    ]
    return replace(report, results=tuple(results))


def test_what_can_be_counted_has_bounds_of_its_own(report: Report, summary: Summary) -> None:
    whole = counted(report)
    kept = GateLimits(max_parameters=23_000_000, max_operations=2_688_000_000, max_float_products=1)
    broken = GateLimits(
        max_parameters=22_000_000, max_operations=2_687_000_000, max_float_products=0
    )
    figures = replace(
        summary,
        variants=tuple(
            replace(variant, result=result)
            for variant, result in zip(summary.variants, whole.results, strict=True)
        ),
    )

    inside = check_gates(whole, kept, variants=["INT8"], summary=figures)
    outside = check_gates(whole, broken, variants=["INT8"], summary=figures)
    unknown = check_gates(whole, kept, variants=["pruned"], summary=figures)

    assert [one.state for one in inside] == ["passed"] * 3
    assert [one.state for one in outside] == ["failed"] * 3
    assert outside[1].sentence == (
        "INT8: 2,688,000,000 operations, at most 2,687,000,000 are allowed"
    )
    assert [one.state for one in unknown] == ["passed", "failed", "failed"]
    assert unknown[2].sentence == "pruned: its float weight products are not known"
    with pytest.raises(UsageError, match="must not be below 0"):
        GateLimits(max_float_products=-1)


def test_peers_are_gated_only_when_they_are_named(report: Report) -> None:
    results = tuple(
        replace(one, kind="peer") if one.name == "INT4" else one for one in report.results
    )
    with_peer, limits = replace(report, results=results), GateLimits(max_size_bytes=100_000_000)

    assert "INT4" not in {one.variant for one in check_gates(with_peer, limits)}
    assert {one.variant for one in check_gates(with_peer, limits, variants=["INT4"])} == {"INT4"}
