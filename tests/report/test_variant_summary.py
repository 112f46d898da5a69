"""The figures of each variant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bertcompress.report.schema import Report
from bertcompress.report.svg import PEER_SERIES
from bertcompress.report.variant_summary import accuracy_drop, joules_per_sentence, rows_of


def test_all_peers_share_a_series_and_no_other_variant_has_it(report: Report) -> None:
    results = (*report.results[:-1], replace(report.results[-1], kind="peer"))

    rows = rows_of(replace(report, results=results))

    *own, peer = rows.series.values()
    assert peer == PEER_SERIES
    assert PEER_SERIES not in own
    assert [variant.name for variant in rows.own] == [result.name for result in results[:-1]]


def test_the_drop_is_the_baseline_s_value_less_the_variant_s(report: Report) -> None:
    rows = rows_of(report)
    base, other = rows.base.result.accuracy, rows.variants[1].result.accuracy

    assert base is not None
    assert other is not None
    assert accuracy_drop(rows.base, rows) == 0.0
    assert accuracy_drop(rows.variants[1], rows) == pytest.approx(base.value - other.value)
    bare = replace(rows.variants[1], result=replace(report.results[1], accuracy=None))
    assert accuracy_drop(bare, rows) is None


def test_energy_that_one_round_lacks_is_not_known(report: Report) -> None:
    measurement = report.results[0].measurements[0]
    rounds = len(measurement.rounds)
    sentences = sum(sum(counts) for counts in measurement.sentences)

    assert joules_per_sentence(measurement) is None
    assert joules_per_sentence(replace(measurement, energy_j=(3.0,) * rounds)) == pytest.approx(
        3.0 * rounds / sentences
    )
    lacking = replace(measurement, energy_j=(None, *(3.0,) * (rounds - 1)))
    assert joules_per_sentence(lacking) is None
