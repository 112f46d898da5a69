"""Counts come from the last step that has any, and are numbers, whatever its tables are called."""

from __future__ import annotations

from dataclasses import replace

from bertcompress.gates.variant_counts import FLOAT_PRODUCTS, counts_of
from bertcompress.profiling.operations import Operations
from bertcompress.report.schema import HistoryTable, Report


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


def test_kernels_are_those_of_the_last_step_that_counted_them(report: Report) -> None:
    int8 = next(result for result in counted(report).results if result.name == "INT8")
    (line,) = int8.history
    before, after = replace(line, kernels={FLOAT_PRODUCTS: 7}), replace(line, kernels=None)
    table = HistoryTable("kernels", ("what", "value"), ((FLOAT_PRODUCTS, 1),))

    assert counts_of(replace(int8, history=(before, line, after))).float_products == 1
    none, drawn = replace(line, kernels={}), replace(line, tables=(table,), kernels=None)
    assert counts_of(replace(int8, history=(line, none))).float_products is None
    assert counts_of(replace(int8, history=(drawn,))).float_products is None


def test_operations_are_those_of_one_sentence_of_128_tokens(report: Report) -> None:
    int8 = next(result for result in counted(report).results if result.name == "INT8")

    counts = counts_of(int8)

    assert counts.operations == 128 * 21_000_000
    assert counts.float_products == 1
    assert counts_of(replace(int8, operations=None)).operations is None
