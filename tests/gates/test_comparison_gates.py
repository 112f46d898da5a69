"""What head may not do worse than base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from bertcompress.gates.comparison import Build, CompareSettings
from bertcompress.gates.comparison_gates import (
    answers_gate,
    counted_gates,
    kernel_gates,
    slowdown_gate,
)
from bertcompress.report.schema import Report, Size
from bertcompress.stats.slowdown import Slowdown

SETTINGS = CompareSettings()
KERNELS = {"MatMulIntegerToFloat": 18, "attention": 6, "float weight products": 1}


def build(report: Report, position: int = 0) -> Build:
    result = report.results[position]
    assert result.accuracy is not None
    return Build(
        name="head" if position else "base",
        runtime="ort-cpu",
        kind="onnx",
        size=Size(1_000_000, None, 1_200_000, 5000),
        operations=2_870_000_000,
        float_operations=100_000,
        kernels={**KERNELS, "all operators": 139},
        accuracy=result.accuracy,
        peak_bytes=200_000_000,
    )


def state_of(base: Build, head: Build, gate: str, settings: CompareSettings = SETTINGS) -> str:
    return next(one.state for one in counted_gates(base, head, settings) if one.gate == gate)


def test_a_build_against_itself_passes_everything(report: Report) -> None:
    base = build(report)

    gates = list(counted_gates(base, replace(base, name="head"), SETTINGS))

    assert {one.state for one in gates} == {"passed"}
    assert [one.gate for one in gates] == [
        "parameters",
        "operations",
        "float operations",
        "file size",
        "peak memory",
        "kernels",
    ]


def test_growth_beyond_what_is_allowed_fails(report: Report) -> None:
    base = build(report)

    assert state_of(base, replace(base, operations=2_880_000_000), "operations") == "passed"
    assert state_of(base, replace(base, operations=2_910_000_000), "operations") == "failed"
    assert state_of(base, replace(base, float_operations=2_000_000), "float operations") == "failed"
    bigger = replace(base, size=replace(base.size, file_bytes=1_010_001))
    assert state_of(base, bigger, "file size") == "failed"
    assert state_of(base, bigger, "file size", replace(SETTINGS, max_growth=0.02)) == "passed"
    assert state_of(base, replace(base, peak_bytes=209_000_000), "peak memory") == "passed"
    assert state_of(base, replace(base, peak_bytes=211_000_000), "peak memory") == "failed"
    fewer = replace(base, size=replace(base.size, parameters=2500))
    assert state_of(base, fewer, "parameters") == "passed"


def test_a_figure_that_only_one_side_has_is_a_doubt(report: Report) -> None:
    base = build(report)
    unknown = replace(base, operations=None, size=replace(base.size, parameters=None))

    assert state_of(base, unknown, "operations") == "abstained"
    assert state_of(unknown, base, "parameters") == "abstained"
    assert "parameters" not in {one.gate for one in counted_gates(unknown, unknown, SETTINGS)}


def test_float_operations_where_there_were_none_fail(report: Report) -> None:
    base = replace(build(report), float_operations=0)

    assert state_of(base, base, "float operations") == "passed"
    assert state_of(base, replace(base, float_operations=1), "float operations") == "failed"


@pytest.mark.parametrize(
    ("head", "state", "said"),
    [
        ({**KERNELS, "all operators": 139}, "passed", "no kernel or fusion was lost"),
        ({**KERNELS, "float weight products": 2}, "failed", "float weight products 1 → 2"),
        ({**KERNELS, "attention": 5, "all operators": 139}, "failed", "attention 6 → 5"),
        ({**KERNELS, "all operators": 151}, "failed", "all operators 139 → 151"),
        # A layer less has one of everything less.
        (
            {
                "MatMulIntegerToFloat": 15,
                "attention": 5,
                "float weight products": 1,
                "all operators": 117,
            },
            "passed",
            "no kernel",
        ),
        ({}, "abstained", "head has no counts"),
    ],
)
def test_kernels_and_fusions_may_not_be_lost(
    head: Mapping[str, int], state: str, said: str
) -> None:
    base = {**KERNELS, "all operators": 139}
    full = {"all operators": 139, **head} if head else {}

    (gate,) = kernel_gates(("base", "head"), base, full)

    assert gate.state == state
    assert said in gate.sentence


def test_kernels_of_checkpoints_are_not_asked_for(report: Report) -> None:
    plain = replace(build(report), kernels={})

    assert "kernels" not in {one.gate for one in counted_gates(plain, plain, SETTINGS)}
    off = replace(SETTINGS, kernels=False)
    worse = replace(build(report), kernels={})
    assert "kernels" not in {one.gate for one in counted_gates(build(report), worse, off)}


def test_answers_are_compared_on_the_same_examples(report: Report) -> None:
    base, head, paired = build(report), build(report, 4), report.results[4].paired
    assert paired is not None

    strict = answers_gate(base, head, paired, replace(SETTINGS, max_drop=0.001))
    loose = answers_gate(base, head, paired, replace(SETTINGS, max_drop=0.05))

    assert (strict.state, loose.state) == ("failed", "passed")
    assert strict.is_accuracy
    drop = np.mean(base.accuracy.correct) - np.mean(head.accuracy.correct)
    assert f"−{drop * 100:.2f} points" in strict.sentence
    assert f"{paired.lost} lost, {paired.gained} gained" in strict.sentence


def test_the_slowdown_gate_says_what_was_found() -> None:
    shown = Slowdown(0.0513, 0.042, 0.06, 0.018, 0.01, 5, 0.99)
    doubtful = Slowdown(0.011, -0.01, 0.032, 0.042, 0.03, 20, 0.99)
    faster = replace(shown, estimate=-0.1, low=-0.11, high=-0.09)

    failed = slowdown_gate(shown, SETTINGS, name="head")
    abstained = slowdown_gate(doubtful, SETTINGS, name="head", doubts=("load 5.0 on 2 CPUs",))

    assert failed.state == "failed"
    assert failed.sentence == (
        "head: 5.1 % slower than base (99 % bounds: +4.2 % and +6.0 %); 3 % slower is allowed"
    )
    assert abstained.state == "abstained"
    assert abstained.sentence.endswith("only from 4.2 % on; load 5.0 on 2 CPUs")
    assert slowdown_gate(faster, SETTINGS, name="head").state == "passed"
    assert "10 % faster than base" in slowdown_gate(faster, SETTINGS, name="head").sentence
