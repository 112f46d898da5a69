"""Writes the committed reports' figures into README.md and benchmarks/README.md.

    python benchmarks/tables.py            writes the tables
    python benchmarks/tables.py --check    fails if they are not what the reports say

A table stands between ``<!-- results: … -->`` and ``<!-- end of results -->``; nothing else of the
files is touched.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from bertcompress.report.markdown import pipe_table
from bertcompress.report.report_files import read_report
from bertcompress.report.summary import Summary, summarize
from bertcompress.report.tables.blocks import Table
from bertcompress.report.tables.variants import summary_table

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "benchmarks" / "reports"
PLACES = {ROOT / "README.md": "benchmarks/reports", ROOT / "benchmarks" / "README.md": "reports"}
"""Each file with tables, and how it links to the reports."""
_BLOCK = re.compile(r"(<!-- results: ([a-z0-9 -]+?) -->\n).*?(<!-- end of results -->)", re.DOTALL)


def main() -> int:
    """Writes or checks all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if they differ")
    check = parser.parse_args().check
    stale = []
    for path, reports in PLACES.items():
        before = path.read_text(encoding="utf-8")
        after = filled(before, reports)
        if after == before:
            continue
        stale.append(path.name)
        if not check:
            path.write_text(after, encoding="utf-8")
    if check and stale:
        print(f"{', '.join(stale)}: not what the reports say; type: python benchmarks/tables.py")
        return 1
    return 0


def filled(text: str, reports: str) -> str:
    """Returns a file's text with each of its blocks written anew."""

    def block(found: re.Match[str]) -> str:
        lines = [line for name in found[2].split() for line in table_of(name, reports)]
        return "\n".join([found[1].rstrip(), *lines, found[3]])

    return _BLOCK.sub(block, text)


def table_of(name: str, reports: str) -> Iterator[str]:
    """Yields the lines of one suite's table."""
    report = read_report(REPORTS / name)
    summary = summarize(report)
    machine, data = report.environment, report.dataset
    libraries = machine.libraries
    yield ""
    yield (
        f"**{name}**: {data.count:,} examples, {machine.cpu_model}, {machine.threads} threads, "
        f"ONNX Runtime {libraries.get('onnxruntime', '?')}, {machine.date[:10]}; "
        f"[the whole report]({reports}/{name}/report.md). {summary.verdict.headline}"
    )
    yield ""
    yield from _table(summary_table(report, summary), summary)
    yield ""


def _table(table: Table, summary: Summary) -> list[str]:
    """Returns the report's first table for a narrow page: no memory, intervals of ratios only."""
    columns = [column.title for column in table.only("text").columns][:-1]
    columns = ["ms, one sentence" if column == "p50, ms" else column for column in columns]
    rows = []
    for variant, row in zip(summary.variants, table.only("text").rows, strict=True):
        cells = [
            cell.with_note if column in ("change, paired", "speed-up") else cell.text
            for column, cell in zip(columns, row, strict=False)
        ]
        name = f"*{variant.name}*" if variant.is_peer else variant.name
        rows.append([name, *cells[1:]])
    return pipe_table(columns, rows)


if __name__ == "__main__":
    sys.exit(main())
