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
from collections.abc import Iterable, Iterator
from pathlib import Path

from bertcompress.formatting import (
    bytes_text,
    change_interval,
    change_number,
    metric_name,
    metric_text,
    milliseconds,
    rate_text,
    ratio_interval,
    ratio_text,
)
from bertcompress.report.report_files import read_report
from bertcompress.report.schema import Report
from bertcompress.report.summary import Summary, VariantSummary, summarize
from bertcompress.report.verdict import verdict

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
        f"[the whole report]({reports}/{name}/report.md). {verdict(report, summary).headline}"
    )
    yield ""
    yield from _table(report, summary)
    yield ""


def _table(report: Report, summary: Summary) -> Iterable[str]:
    yield (
        f"| variant | {metric_name(report.metric)} | change, paired | ms, one sentence "
        "| speed-up | sentences/s | file |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for variant in summary.variants:
        yield f"| {' | '.join(_row(variant))} |"


def _row(variant: VariantSummary) -> Iterator[str]:
    accuracy, paired, latency = variant.result.accuracy, variant.result.paired, variant.latency
    best, speedup = variant.best_throughput, latency.speedup if latency else None
    yield f"*{variant.name}*" if variant.is_peer else variant.name
    yield metric_text(accuracy.metric, accuracy.value) if accuracy else "—"
    yield (
        f"{change_number(paired.metric, paired.difference.estimate)} "
        f"({change_interval(paired.metric, paired.difference)})"
        if paired
        else "baseline"
    )
    yield milliseconds(latency.median.estimate) if latency else "—"
    yield f"{ratio_text(speedup.estimate)} ({ratio_interval(speedup)})" if speedup else "baseline"
    yield rate_text(best.sentences_per_s.estimate) if best else "—"
    yield bytes_text(variant.result.size.file_bytes)


if __name__ == "__main__":
    sys.exit(main())
