"""The machine's limits, and the share of them that each variant reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bertcompress.bench.roofs import Roof, RoofKind, Roofs
from bertcompress.profiling.operations import Operations
from bertcompress.report.roofline import Share, shares_of
from bertcompress.report.schema import Report
from bertcompress.report.summary import Summary
from bertcompress.report.tables.blocks import (
    Block,
    Cell,
    Column,
    Paragraph,
    Section,
    Table,
    text_table,
)

Shares = Mapping[str, Sequence[Share]]
_LENGTH = 128
_ROWS: tuple[tuple[RoofKind, str, str], ...] = (
    ("fp32", "matrix products, FP32", "GFLOP/s"),
    ("int8", "matrix products, INT8", "GOP/s"),
    ("read", "memory, read", "GB/s"),
    ("copy", "memory, copied (read and written)", "GB/s"),
)


def limits_section(report: Report, summary: Summary) -> Section:
    """Returns the limits, each variant's share of them, and what must be known of both."""
    blocks: list[Block] = []
    if report.roofs is not None and report.roofs.measured:
        blocks.append(_rate_table(report.roofs))
    shares = {result.name: shares_of(report, result) for result in report.results}
    if any(shares.values()):
        blocks.append(_share_table(report, shares, summary.series))
    blocks += [Paragraph(sentence) for sentence in _remarks(report, shares)]
    return Section("limits", "The machine's limits", tuple(blocks))


def _rate_table(roofs: Roofs) -> Table:
    counts = sorted({1, roofs.threads})
    columns = ("what", *(_threads_text(count) for count in counts), "how")
    rows = []
    for kind, name, unit in _ROWS:
        roofs_of_kind = [roofs.roof(kind, threads=count) for count in counts]
        last = roofs_of_kind[-1]
        rates = [_rate_text(roof, unit) for roof in roofs_of_kind]
        rows.append((name, *rates, last.how if last else "—"))
    return text_table("Measured in this run, in a process of its own", columns, rows)


def _share_table(report: Report, shares: Shares, series: Mapping[str, int]) -> Table:
    workloads = list(dict.fromkeys(share.workload for row in shares.values() for share in row))
    scenarios = {measurement.name: measurement.scenario for measurement in report.base.measurements}
    titles = [
        _workload_name(scenarios[name], name) if name in scenarios else name for name in workloads
    ]
    rows = []
    for result in report.results:
        by_name = {share.workload: share for share in shares[result.name]}
        cells = [_share_cell(by_name.get(name)) for name in workloads]
        name = Cell(result.name, series=series[result.name])
        rows.append((name, _operations_cell(result.operations), *cells))
    columns = ("variant", f"operations, {_LENGTH} tokens", *titles)
    return Table(
        title="The share of its limit that each variant reaches",
        columns=tuple(Column(column) for column in columns),
        rows=tuple(rows),
    )


def _remarks(report: Report, shares_by_name: Shares) -> Iterator[str]:
    if report.roofs is None:
        return
    for sentence in report.roofs.unavailable:
        yield f"Not available: {sentence}."
    missing = [result.name for result in report.results if result.operations is None]
    if missing:
        yield f"Operations not counted: {', '.join(missing)}."
    shares = [share for row in shares_by_name.values() for share in row]
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
        single, all_threads = roofs.roof(kind, threads=1), roofs.roof(kind)
        if single is not None and all_threads is not None and all_threads.rate < single.rate:
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


def _operations_cell(operations: Operations | None) -> Cell:
    if operations is None:
        return Cell()
    work = operations.work(sentences=1, length=_LENGTH)
    integer = work.integer_operations / work.operations if work.operations else 0.0
    return Cell(f"{work.operations / 1e9:.3g} G", f"{integer:.0%} integer")


def _share_cell(share: Share | None) -> Cell:
    return Cell() if share is None else Cell(f"{share.share:.0%}", f"of {share.bound}")
