"""Noise: what is a doubt, and what makes the gates on speed abstain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bertcompress.errors import AccuracyGateError
from bertcompress.gates.gate import GateLimits, check_gates, enforce
from bertcompress.machine.environment import Environment, read_environment
from bertcompress.report.markdown import markdown_of
from bertcompress.report.noise import WIDEST_RESOLUTION, noise_of, too_noisy
from bertcompress.report.report_files import summary_json
from bertcompress.report.schema import Measurement, Report
from bertcompress.report.summary import Summary, summarize

FAILING = GateLimits(min_speedup=9.0, max_latency_s=1e-5, max_size_bytes=1)


@pytest.fixture(scope="module")
def summary(report: Report) -> Summary:
    return summarize(report)


@pytest.fixture
def quiet() -> Environment:
    machine = read_environment(threads=1, thread_variables={})
    return replace(machine, load_before=0.0, steal_fraction=0.0, affinity_cpus=4, quota_cpus=None)


def noisy(report: Report, **facts: float) -> Report:
    return replace(report, environment=replace(report.environment, **facts))  # type: ignore[arg-type]  # numbers


def test_a_quiet_machine_is_not_noisy_and_a_busy_one_is(quiet: Environment) -> None:
    assert noise_of(quiet) == []
    assert "3.0 of 4 CPUs were busy" in noise_of(replace(quiet, load_before=3.0))[0]
    assert "hypervisor took 5.0%" in noise_of(replace(quiet, steal_fraction=0.05))[0]
    assert "in 7% of its periods" in noise_of(replace(quiet, throttled_fraction=0.07))[0]
    assert "may use 0.5 CPUs" in noise_of(replace(quiet, quota_cpus=0.5))[0]
    assert "8 threads shared 4 CPUs" in noise_of(replace(quiet, threads=8))[0]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"load_before": 0.6}, "when it started: 0.6 of 2 CPUs were busy"),
        ({"load_after": 3.1}, "when it ended: load 3.1 on 2 CPUs"),
        ({"steal_fraction": 0.011}, "hypervisor took 1.1%"),
        ({"throttled_fraction": 0.02}, "quota stopped the run in 2%"),
    ],
)
def test_each_disturbance_is_a_reason(
    facts: dict[str, float], reason: str, report: Report, summary: Summary
) -> None:
    (found,) = too_noisy(noisy(report, **facts), summary)

    assert reason in found


def test_what_the_run_itself_does_is_no_reason(report: Report, summary: Summary) -> None:
    busy = noisy(report, load_before=0.5, load_after=3.0, steal_fraction=0.01)

    assert too_noisy(report, summary) == ()
    assert too_noisy(busy, summary) == ()


def test_a_wide_resolution_is_a_reason(report: Report) -> None:
    again = report.again
    assert again is not None
    slower = tuple(tuple(1.3 * second for second in row) for row in again.rounds)
    apart = replace(report, again=replace(again, rounds=slower))

    (found,) = too_noisy(apart, summarize(apart))

    assert (summarize(apart).resolution or 0.0) > WIDEST_RESOLUTION
    assert "FP32 itself" in found
    assert f"{WIDEST_RESOLUTION:.0%} is the most" in found


def test_gates_on_speed_abstain_and_those_on_bytes_do_not(report: Report, summary: Summary) -> None:
    stolen = noisy(report, steal_fraction=0.08)

    results = check_gates(stolen, FAILING, variants=["INT8"])

    states = {result.gate: result.state for result in results}
    assert states == {"speedup": "abstained", "latency": "abstained", "size": "failed"}
    assert all("hypervisor took 8.0%" in r.sentence for r in results if r.state == "abstained")
    assert {r.state for r in check_gates(report, FAILING, summary=summary)} == {"failed"}


def test_a_kept_bound_is_not_believed_on_a_noisy_machine(report: Report) -> None:
    stolen = noisy(report, steal_fraction=0.08)

    (result,) = check_gates(stolen, GateLimits(min_speedup=1.1), variants=["INT8"])

    assert result.state == "abstained"
    enforce([result])


def test_the_gate_on_answers_needs_no_quiet_machine(report: Report) -> None:
    results = check_gates(noisy(report, steal_fraction=0.5), GateLimits(max_drop=0.0))

    with pytest.raises(AccuracyGateError):
        enforce(results)


def test_what_was_not_measured_still_fails(report: Report) -> None:
    nothing: tuple[Measurement, ...] = ()
    bare = tuple(replace(result, measurements=nothing) for result in report.results)
    stolen = noisy(replace(report, results=bare, again=None), steal_fraction=0.5)

    (result,) = check_gates(stolen, GateLimits(min_speedup=1.0), variants=["INT8"])

    assert result.state == "failed"


def test_the_report_says_so_once(report: Report) -> None:
    stolen = noisy(report, steal_fraction=0.08)
    stolen = replace(stolen, notes=tuple(noise_of(stolen.environment)))

    summary = summarize(stolen)
    doubts = [doubt for doubt in summary.verdict.doubts if "hypervisor" in doubt]

    assert len(doubts) == 1
    assert doubts[0].startswith("The machine was too noisy for gates on speed")
    assert doubts[0] in markdown_of(stolen, summary)
    assert len(summary_json(stolen, summary)["noise"]) == 1  # type: ignore[arg-type]  # a list
