"""What ran in which precision, on the HTML page: a table for each quantized variant."""

from __future__ import annotations

from bertcompress.profiling.precision_map import PrecisionMap
from bertcompress.report.markup import Content, Html, fold, section, table, tag
from bertcompress.report.precision_map_text import (
    HEADING,
    HOW_TO_READ,
    columns,
    joined_rows,
    other_rows,
    product_rows,
    sentences,
)
from bertcompress.report.summary import Summary


def precision_section(summary: Summary) -> Html:
    """Returns a table for each variant that has a map: its layers together, then each alone."""
    parts: list[Content] = []
    for variant in summary.variants:
        mapped = variant.result.precision_map
        if mapped is not None:
            parts += _variant(variant.name, mapped)
    if not parts:
        return Html("")
    return section("precision", HEADING, tag("p", HOW_TO_READ), *parts)


def _variant(name: str, mapped: PrecisionMap) -> list[Content]:
    head: list[Content] = [*columns(mapped)]
    rows: list[list[Content]] = [[*row] for row in (*joined_rows(mapped), *other_rows(mapped))]
    every: list[list[Content]] = [[*row] for row in product_rows(mapped)]
    return [
        tag("h3", name),
        tag("p", " ".join(sentences(mapped)), "soft"),
        table(f"{name}: what ran, layers together", head, rows),
        fold("Each product by itself", table(f"{name}: each product", head, every)),
    ]
