"""The report's block on the machine's limits, as tables that Markdown and HTML both print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bertcompress.bench.roofs import Roof, RoofKind, Roofs
from bertcompress.profiling.operations import Operations
from bertcompress.report.markup import Content, Html, named, section, table, tag, two_lines
from bertcompress.report.roofline import Share, shares_of
from bertcompress.report.schema import Report

HEADING = "The machine's limits"
_LENGTH = 128
_ROWS: tuple[tuple[RoofKind, str, str], ...] = (
    ("fp32", "matrix products, FP32", "GFLOP/s"),
    ("int8", "matrix products, INT8", "GOP/s"),
    ("read", "memory, read", "GB/s"),
    ("copy", "memory, copied (read and written)", "GB/s"),
)


def rate_table(roofs: Roofs) -> tuple[list[str], list[list[str]]]:
    """Returns columns and rows of the limits themselves."""
    counts = sorted({1, roofs.threads})
    columns = ["what", *(_threads_text(count) for count in counts), "how"]
    rows = []
    for kind, name, unit in _ROWS:
        found = [roofs.roof(kind, threads=count) for count in counts]
        rates = [_rate_text(roof, unit) for roof in found]
        last = found[-1]
        rows.append([name, *rates, last.how if last else "—"])
    return columns, rows


def share_table(report: Report) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Returns columns and rows of what each variant reaches; a cell has small print."""
    shares = [shares_of(report, result) for result in report.results]
    workloads = list(dict.fromkeys(share.workload for row in shares for share in row))
    names = {measurement.name: measurement for measurement in report.base.measurements}
    columns = ["variant", f"operations, {_LENGTH} tokens"]
    columns += [
        _workload_name(names[one].scenario, one) if one in names else one for one in workloads
    ]
    rows = []
    for result, own in zip(report.results, shares, strict=True):
        by_name = {share.workload: share for share in own}
        cells = [(result.name, ""), _operations_cell(result.operations)]
        rows.append([*cells, *(_share_cell(by_name.get(one)) for one in workloads)])
    return columns, rows


def remarks(report: Report) -> list[str]:
    """Returns the sentences that belong to the block."""
    return list(_remarks(report))


def limits_section(report: Report, series: dict[str, int]) -> Html:
    """Returns the block for the page; `series` has each variant's number."""
    if report.roofs is None:
        return Html("")
    parts: list[Content] = []
    if report.roofs.measured:
        columns, rows = rate_table(report.roofs)
        parts.append(table("Measured in this run, in a process of its own", columns, rows))
    if _has_shares(report):
        names, cells = share_table(report)
        parts.append(
            table(
                "The share of its limit that each variant reaches",
                names,
                [
                    [named(series[row[0][0]], row[0][0]), *(two_lines(*c) for c in row[1:])]
                    for row in cells
                ],
            )
        )
    parts += [tag("p", sentence, "soft") for sentence in remarks(report)]
    return section("limits", HEADING, *parts)


def limits_tables(report: Report) -> list[tuple[Sequence[str], Sequence[Sequence[str]]]]:
    """Returns the block's tables for Markdown."""
    if report.roofs is None:
        return []
    tables: list[tuple[Sequence[str], Sequence[Sequence[str]]]] = []
    if report.roofs.measured:
        tables.append(rate_table(report.roofs))
    if _has_shares(report):
        columns, rows = share_table(report)
        tables.append((columns, [[_joined(cell) for cell in row] for row in rows]))
    return tables


def _has_shares(report: Report) -> bool:
    return any(shares_of(report, result) for result in report.results)


def _remarks(report: Report) -> Iterator[str]:
    if report.roofs is None:
        return
    for sentence in report.roofs.unavailable:
        yield f"Not available: {sentence}."
    missing = [result.name for result in report.results if result.operations is None]
    if missing:
        yield f"Operations not counted: {', '.join(missing)}."
    shares = [share for result in report.results for share in shares_of(report, result)]
    if not shares:
        return
    yield (
        "A share is the least time that the limits allow for a call over the time it took, the "
        "median over all calls: float operations at the FP32 rate plus integer operations at the "
        "INT8 rate, or the bytes that must be read at the read rate, whichever is longer. "
        "Operations are multiplications and additions of the matrix products, padding included; "
        "softmax, GELU and LayerNorm are not counted, so 100 % is out of reach."
    )
    if _was_disturbed(report.roofs) or any(s.share > 1.0 and s.bound == "compute" for s in shares):
        yield (
            "The limits are too low: other work ran while they were measured (all threads did "
            "less than one, or a variant did more than the limit); so the shares are too high."
        )
    if any(share.share > 1.0 and share.bound == "memory" for share in shares):
        yield "Above 100 % where memory is the limit: the weights stayed in the cache."


def _was_disturbed(roofs: Roofs) -> bool:
    """Tells whether all threads together did less than one alone."""
    for kind in ("fp32", "int8"):
        one, all_threads = roofs.roof(kind, threads=1), roofs.roof(kind)
        if one is not None and all_threads is not None and all_threads.rate < one.rate:
            return True
    return False


def _threads_text(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"


def _rate_text(roof: Roof | None, unit: str) -> str:
    return "not available" if roof is None else f"{roof.rate / 1e9:,.3g} {unit}"


def _workload_name(scenario: str, name: str) -> str:
    if scenario == "single-stream":
        return "one sentence"
    return name.replace("grid-", "").replace("offline-", "batch ").replace("x", " × ")


def _operations_cell(operations: Operations | None) -> tuple[str, str]:
    if operations is None:
        return "—", ""
    work = operations.work(sentences=1, length=_LENGTH)
    integer = work.integer_operations / work.operations if work.operations else 0.0
    return f"{work.operations / 1e9:.3g} G", f"{integer:.0%} integer"


def _share_cell(share: Share | None) -> tuple[str, str]:
    return ("—", "") if share is None else (f"{share.share:.0%}", f"of {share.bound}")


def _joined(cell: tuple[str, str]) -> str:
    return f"{cell[0]} ({cell[1]})" if cell[1] else cell[0]
