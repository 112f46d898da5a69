"""The precision map in the terminal, in Markdown, and on the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.profiling.precision_map import MappedGroup, MappedProduct, PrecisionMap
from bertcompress.report.markdown import markdown_of
from bertcompress.report.page import html_of
from bertcompress.report.report_files import read_report, write_report
from bertcompress.report.schema import Report
from bertcompress.report.summary import summarize
from bertcompress.report.tables.precision import (
    HEADING,
    columns,
    joined_rows,
    other_rows,
    precision_section,
    product_rows,
    sentences,
)

REPORTS = sorted((Path(__file__).resolve().parents[3] / "benchmarks" / "reports").glob("*/*.json"))


def product(layer: int, name: str, before: float | None, after: float) -> MappedProduct:
    integer = name != "self"
    return MappedProduct(
        module=f"e.layer.{layer}.{name}",
        kernel="MatMulIntegerToFloat" if integer else "Attention",
        precision="uint8 x int8" if integer else "float32",
        before_s=None if before is None else before * 1e-6,
        after_s=after * 1e-6,
        reason="" if integer else "attention has no weights",
    )


MAP = PrecisionMap(
    runtime="ort-cpu",
    inputs="10 sentences of the data",
    threads=2,
    runs=30,
    against="FP32",
    products=(
        product(0, "query", 300, 100),
        product(0, "self", 400, 400),
        product(11, "query", 310, 110),
        product(11, "self", 410, 390),
    ),
    others=(MappedGroup("gather", "Gather 3", 50e-6, 60e-6),),
    covered=0.5,
    plain_s=2e-3,
    before_covered=0.7,
    before_plain_s=3e-3,
)
BARE = replace(
    MAP,
    against=None,
    before_covered=None,
    before_plain_s=None,
    products=tuple(replace(one, before_s=None) for one in MAP.products),
    others=tuple(replace(one, before_s=None) for one in MAP.others),
)


@pytest.fixture
def mapped_report(report: Report) -> Report:
    """The synthetic report, with a map of the variant INT8."""
    results = tuple(
        replace(one, precision_map=MAP if one.name == "INT8" else None) for one in report.results
    )
    return replace(report, results=results)


def microseconds(rows: list[list[str]], column: int) -> list[int]:
    return [int(row[column].replace(",", "")) for row in rows]


def test_the_rows_of_the_table_add_up_to_its_last() -> None:
    for column in (3, 4):
        rows = other_rows(MAP)
        parts = microseconds([*product_rows(MAP), *rows[:-1]], column)
        assert sum(parts) == pytest.approx(microseconds(rows[-1:], column)[0], abs=len(parts))


def test_layers_where_the_same_ran_are_one_row() -> None:
    rows = joined_rows(MAP)

    assert [row[0] for row in rows] == ["e.layer.*.query (2)", "e.layer.*.self (2)"]
    assert microseconds(rows, 3) == [610, 810]
    assert microseconds(rows, 4) == [210, 790]
    assert rows[1][5] == "attention has no weights"


def test_a_layer_where_something_else_ran_is_a_row_of_its_own() -> None:
    odd = replace(MAP.products[0], precision="float32", reason="named in keep_float: e.layer.0.*")
    rows = joined_rows(replace(MAP, products=(odd, *MAP.products[1:])))
    assert [row[0] for row in rows] == ["e.layer.0.query", "e.layer.*.self (2)", "e.layer.11.query"]


def test_without_a_float_graph_there_is_no_column_for_it() -> None:
    assert columns(BARE) == ["module", "kernel", "precision", "µs", "why in float"]
    assert all(len(row) == 5 for row in (*product_rows(BARE), *joined_rows(BARE)))
    assert not any("before" in sentence for sentence in sentences(BARE))


def test_the_sentences_tell_shares_and_what_was_measured() -> None:
    text = " ".join(sentences(MAP))

    assert "4 matrix products ran: 2 in uint8 x int8 (9.9 % of the time)" in text
    assert "ort-cpu on 10 sentences of the data, 2 threads, 30 runs" in text
    assert "cover 50 % of a run" in text
    assert "2.00 ms; FP32, the float graph of the column before, 3.00 ms (1.50×)" in text
    assert "Other processes" not in text


def test_a_busy_machine_is_told() -> None:
    assert "Other processes" in " ".join(sentences(replace(MAP, plain_s=5e-3)))


@pytest.mark.slow
def test_markdown_and_page_have_the_section_for_the_variant_that_has_a_map(
    mapped_report: Report,
) -> None:
    markdown, html = markdown_of(mapped_report), html_of(mapped_report)

    section = markdown.split(f"## {HEADING}")[1].split("\n## ")[0]
    assert section.count("### ") == 1
    assert "### INT8\n" in section
    assert "| e.layer.*.query (2) | MatMulIntegerToFloat | uint8 x int8 | 610 | 210 |" in section
    assert f'<h2 id="precision">{HEADING}</h2>' in html
    assert '<th scope="row">e.layer.*.query (2)</th>' in html
    assert '<th scope="row">e.layer.11.query</th>' in html


def test_a_report_without_maps_has_no_section(report: Report) -> None:
    assert HEADING not in markdown_of(report)
    assert precision_section(summarize(report)).blocks == ()


def test_the_map_is_written_and_read_back(mapped_report: Report, tmp_path: Path) -> None:
    assert read_report(write_report(mapped_report, tmp_path).json) == mapped_report


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.parent.name)
def test_reports_from_before_there_were_maps_still_load(path: Path) -> None:
    assert read_report(path).results
