"""What ran in which precision: a table for each quantized variant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from bertcompress.formatting import percent_text, ratio_text, seconds_text
from bertcompress.profiling.precision_map import MappedGroup, MappedProduct, PrecisionMap
from bertcompress.report.summary import Summary
from bertcompress.report.tables.blocks import (
    Block,
    Fold,
    Heading,
    Paragraph,
    Section,
    Table,
    text_table,
)

HEADING = "What ran in which precision"
HOW_TO_READ = (
    "Times are medians, taken by the runtime's own profiler. A kernel's time holds what is fused "
    "into it: a dynamic product quantizes its activations itself, others leave that to a row of "
    "its own. An attention holds scores, softmax and context."
)
_BUSY = 1.25
_LAYER = re.compile(r"\.\d+\.")
_COLUMNS = ("module", "kernel", "precision", "before µs", "after µs", "why in float")


def precision_section(summary: Summary) -> Section:
    """Returns a table for each variant that has a map: its layers together, then each alone."""
    blocks: list[Block] = []
    for variant in summary.variants:
        mapped = variant.result.precision_map
        if mapped is not None:
            blocks += _blocks(variant.name, mapped)
    if blocks:
        blocks.insert(0, Paragraph(HOW_TO_READ, soft=False))
    return Section("precision", HEADING, tuple(blocks))


def _blocks(name: str, mapped: PrecisionMap) -> list[Block]:
    head, rows = columns(mapped), joined_rows(mapped) + other_rows(mapped)
    each = text_table(f"{name}: each product", head, product_rows(mapped))
    return [
        Heading(name),
        Paragraph(" ".join(sentences(mapped))),
        text_table(f"{name}: what ran, layers together", head, rows),
        Fold("Each product by itself", (each,)),
    ]


def products_table(name: str, mapped: PrecisionMap) -> Table:
    """Returns each product alone, and all that ran beside them."""
    rows = product_rows(mapped) + other_rows(mapped)
    return text_table(f"{name}: what ran", columns(mapped), rows)


def columns(mapped: PrecisionMap) -> list[str]:
    """Returns the headers; without a float graph there is no time before."""
    if mapped.against is not None:
        return list(_COLUMNS)
    return [name.replace("after ", "") for name in _COLUMNS if name != "before µs"]


def product_rows(mapped: PrecisionMap) -> list[list[str]]:
    """Returns a row for each product."""
    return [_product_row(mapped, product) for product in mapped.products]


def joined_rows(mapped: PrecisionMap) -> list[list[str]]:
    """Returns a row for each kind of product: the layers where the same ran, put together."""
    kinds: dict[tuple[str, ...], list[MappedProduct]] = {}
    for product in mapped.products:
        kind = joined_module(product.module), product.kernel, product.precision, product.reason
        kinds.setdefault(kind, []).append(product)
    return [_product_row(mapped, _summed(same)) for same in kinds.values()]


def other_rows(mapped: PrecisionMap) -> list[list[str]]:
    """Returns the rows that follow the products: all else, the runtime's own work, the whole."""
    rows = [
        _row(mapped, [group.name, group.operators, "", ""], group.before_s, group.after_s)
        for group in mapped.others
    ]
    between = mapped.whole_s - mapped.operators_s
    before = None
    if mapped.before_whole_s is not None and mapped.before_operators_s is not None:
        before = mapped.before_whole_s - mapped.before_operators_s
    rows.append(_row(mapped, ["between operators", "", "", ""], before, between))
    whole = ["the whole run", "", "", ""]
    rows.append(_row(mapped, whole, mapped.before_whole_s, mapped.whole_s))
    return rows


def joined_module(module: str) -> str:
    """Returns a module's name without its layer.

    >>> joined_module("bert.encoder.layer.11.output.dense")
    'bert.encoder.layer.*.output.dense'
    """
    return _LAYER.sub(".*.", module, count=1)


def sentences(mapped: PrecisionMap) -> list[str]:
    """Returns what the table says, and what it was measured on."""
    threads = f"{mapped.threads} thread{'' if mapped.threads == 1 else 's'}"
    told = [
        f"{_shares(mapped)}.",
        f"Measured in {mapped.runtime} on {mapped.inputs}, {threads}, {mapped.runs} runs; "
        f"the operators cover {percent_text(mapped.covered)} of a run, the rest is the runtime's "
        "own work between them.",
    ]
    plain = f"Without the profiler a run takes {seconds_text(mapped.plain_s)}"
    if mapped.against is not None and mapped.before_plain_s is not None:
        ratio = ratio_text(mapped.before_plain_s / mapped.plain_s)
        before = seconds_text(mapped.before_plain_s)
        plain += f"; {mapped.against}, the float graph of the column before, {before} ({ratio})"
    told.append(f"{plain}.")
    if mapped.plain_s > _BUSY * mapped.whole_s:
        told.append(
            "Other processes took time from these runs: whole runs are slower than the medians of "
            "their operators add up to. Measure on a quiet machine before you quote a time."
        )
    return told


def _shares(mapped: PrecisionMap) -> str:
    """Says how many products ran in which precision, and what share of the time they took."""
    precisions: dict[str, list[MappedProduct]] = {}
    for product in mapped.products:
        precisions.setdefault(product.precision, []).append(product)
    told = [
        f"{len(same)} in {name} ({percent_text(_time(same) / mapped.whole_s)} of the time)"
        for name, same in precisions.items()
    ]
    rest = percent_text(_time(mapped.others) / mapped.whole_s)
    count = len(mapped.products)
    return f"{count} matrix products ran: {', '.join(told)}; all other operators take {rest}"


def _time(rows: Iterable[MappedProduct | MappedGroup]) -> float:
    return sum(row.after_s for row in rows)


def _summed(same: Sequence[MappedProduct]) -> MappedProduct:
    first, *others = same
    known = [product.before_s for product in same if product.before_s is not None]
    return replace(
        first,
        module=f"{joined_module(first.module)} ({len(same)})" if others else first.module,
        before_s=sum(known) if len(known) == len(same) else None,
        after_s=sum(product.after_s for product in same),
    )


def _product_row(mapped: PrecisionMap, product: MappedProduct) -> list[str]:
    cells = [product.module, product.kernel, product.precision, product.reason]
    return _row(mapped, cells, product.before_s, product.after_s)


def _row(
    mapped: PrecisionMap, cells: Sequence[str], before_s: float | None, after_s: float
) -> list[str]:
    name, kernel, precision, reason = cells
    times = [_microseconds(after_s)]
    if mapped.against is not None:
        times.insert(0, "—" if before_s is None else _microseconds(before_s))
    return [name, kernel, precision, *times, reason]


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f}"
