"""Shares of the limit, computed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bertcompress.bench.roofs import Roof, Roofs
from bertcompress.profiling.operations import Operations
from bertcompress.report.roofline import least_seconds, shares_of
from bertcompress.report.schema import Measurement, Report

ROOFS = Roofs(1, tuple(Roof(k, 1, r, (r,), "") for k, r in (("fp32", 1e3), ("read", 1e2))))  # type: ignore[arg-type]  # kinds
OPERATIONS = Operations(float_per_token=100, attention_width=1, weight_bytes=10)


def with_calls(report: Report, measurement: Measurement) -> Report:
    result = replace(report.results[0], measurements=(measurement,), operations=OPERATIONS)
    return replace(report, results=(result,), roofs=ROOFS)


def calls(**facts: object) -> Measurement:
    made: dict[str, object] = {
        "name": "own-lengths",
        "scenario": "single-stream",
        "batch_size": 1,
        "sequence_length": None,
        "rounds": ((4.0, 2.0), (8.0, 2.0)),
        "sentences": ((1, 1), (1, 1)),
        "tokens": ((10, 10), (20, 10)),
        "padding_fraction": 0.0,
        **facts,
    }
    return Measurement(**made)  # type: ignore[arg-type]  # as above


def test_the_share_is_the_median_over_the_calls(report: Report) -> None:
    changed = with_calls(report, calls())

    (share,) = shares_of(changed, changed.results[0])

    # 10 tokens: 1000 + 2 * 100 operations, 1.2 s; 20 tokens: 2000 + 2 * 400, 2.8 s
    assert share.share == pytest.approx((0.35 + 0.6) / 2)  # of 0.3, 0.35, 0.6, 0.6
    assert (share.workload, share.bound) == ("own-lengths", "compute")


def test_padding_is_work(report: Report) -> None:
    padded = calls(
        scenario="offline",
        batch_size=2,
        rounds=((4.0,),),
        sentences=((2,),),
        tokens=((15,),),
        padding_fraction=0.25,
    )
    told = with_calls(report, replace(padded, positions=((20,),)))
    found = with_calls(report, padded)

    (share,) = shares_of(told, told.results[0])

    assert share.share == pytest.approx((2000 + 2 * 2 * 100) / 1e3 / 4.0)
    assert shares_of(found, found.results[0]) == (share,)


def test_a_timing_of_several_batches_reads_the_weights_for_each(report: Report) -> None:
    batches = calls(
        scenario="best-offline",
        batch_size=2,
        rounds=((40.0,),),
        sentences=((4,),),
        tokens=((40,),),
    )
    changed = with_calls(report, batches)
    heavy = replace(changed.results[0], operations=replace(OPERATIONS, weight_bytes=1000))

    (share,) = shares_of(changed, changed.results[0])
    (bound,) = shares_of(changed, heavy)

    assert share.share == pytest.approx((4000 + 4 * 2 * 100) / 1e3 / 40.0)
    assert bound.share == pytest.approx(2 * 1000 / 1e2 / 40.0)
    assert bound.bound == "memory"


def test_short_texts_on_many_weights_are_bound_by_memory(report: Report) -> None:
    changed = with_calls(report, calls())
    heavy = replace(changed.results[0], operations=replace(OPERATIONS, weight_bytes=1000))

    (share,) = shares_of(changed, heavy)

    assert share.bound == "memory"
    assert least_seconds(changed, heavy, [3]) == [10.0]


def test_without_limits_or_operations_there_is_nothing(report: Report) -> None:
    changed = with_calls(report, calls())
    bare = replace(changed.results[0], operations=None)

    assert shares_of(changed, bare) == ()
    assert least_seconds(changed, bare, [3]) == []
    assert shares_of(replace(changed, roofs=None), changed.results[0]) == ()
    assert shares_of(replace(changed, roofs=Roofs(1)), changed.results[0]) == ()
