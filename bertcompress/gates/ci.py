"""What continuous integration reads: JUnit XML, github-action-benchmark JSON, annotations.

One JUnit test case a gate: failed gates fail, abstaining ones are skipped. The benchmark JSON
comes in two lists, because that action knows one direction a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from bertcompress.codec import Json
from bertcompress.files import json_text, write_texts
from bertcompress.gates.gate import GateResult
from bertcompress.report.schema import Report
from bertcompress.report.summary import Summary, summarize
from bertcompress.report.tables.blocks import Table, text_table
from bertcompress.report.variant_summary import VariantSummary
from bertcompress.sinks import for_annotation, for_terminal
from bertcompress.stats.intervals import Interval

JUNIT_NAME = "junit.xml"
SMALLER_NAME, BIGGER_NAME = "benchmark-smaller.json", "benchmark-bigger.json"


def write_ci_files(
    report: Report,
    results: Sequence[GateResult],
    folder: Path,
    *,
    summary: Summary | None = None,
) -> tuple[Path, ...]:
    """Writes a report's JUnit XML and its two lists of figures, each whole or not at all.

    Raises:
        RunError: If the folder can't be written.
    """
    summary = summary or summarize(report)
    texts = {
        JUNIT_NAME: junit_of(results),
        SMALLER_NAME: smaller_is_better(report, summary),
        BIGGER_NAME: bigger_is_better(report, summary),
    }
    return write_texts(folder, texts)


def gates_table(results: Sequence[GateResult]) -> Table:
    """Returns the gates as a table, the broken ones first."""
    order = {"failed": 0, "abstained": 1, "passed": 2}
    marks = {"failed": "❌ failed", "abstained": "❔ abstained", "passed": "✅ passed"}
    rows = [
        (marks[result.state], result.gate, result.sentence)
        for result in sorted(results, key=lambda result: order[result.state])
    ]
    return text_table("Gates", ("", "gate", "what was found"), rows, kind="words")


def junit_of(results: Sequence[GateResult]) -> str:
    """Returns the gates as JUnit XML."""
    failed = sum(result.state == "failed" for result in results)
    skipped = sum(result.state == "abstained" for result in results)
    cases = "".join(_case(result) for result in results)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<testsuites><testsuite name="bertcompress gates" tests="{len(results)}" '
        f'failures="{failed}" errors="0" skipped="{skipped}">{cases}</testsuite></testsuites>\n'
    )


def annotations_of(results: Sequence[GateResult]) -> list[str]:
    """Returns GitHub workflow commands: an error for each failed gate, a warning for each doubt."""
    kinds = {"failed": "error", "abstained": "warning"}
    return [
        f"::{kinds[result.state]} title=bertcompress gate {result.gate}::"
        + for_annotation(result.sentence)
        for result in results
        if result.state in kinds
    ]


def smaller_is_better(report: Report, summary: Summary | None = None) -> str:
    """Returns latency, size and memory for github-action-benchmark's customSmallerIsBetter."""
    entries: list[Json] = []
    for variant in (summary or summarize(report)).variants:
        if variant.latency:
            median = variant.latency.median
            entries.append(_entry(variant, "latency p50", median.estimate * 1e3, "ms", median))
        entries.append(_entry(variant, "file", variant.result.size.file_bytes / 1e6, "MB"))
        if variant.peak_bytes is not None:
            entries.append(_entry(variant, "peak memory", variant.peak_bytes / 1e6, "MB"))
    return json_text(entries, indent=2) + "\n"


def bigger_is_better(report: Report, summary: Summary | None = None) -> str:
    """Returns accuracy, speed-up and throughput for customBiggerIsBetter."""
    entries: list[Json] = []
    for variant in (summary or summarize(report)).variants:
        accuracy, best = variant.result.accuracy, variant.best_throughput
        if accuracy:
            entries.append(_entry(variant, accuracy.metric, accuracy.value, "share"))
        if variant.latency and variant.latency.speedup:
            entries.append(_entry(variant, "speed-up", variant.latency.speedup.estimate, "times"))
        if best:
            rate = best.sentences_per_s.estimate
            entries.append(_entry(variant, "throughput", rate, "sentences/s"))
    return json_text(entries, indent=2) + "\n"


def _entry(
    variant: VariantSummary, figure: str, value: float, unit: str, span: Interval | None = None
) -> Json:
    entry: dict[str, Json] = {
        "name": f"{variant.name}: {figure}",
        "unit": unit,
        "value": round(value, 6),
        "extra": f"runtime {variant.result.runtime}",
    }
    if span is not None:
        entry["range"] = f"{(span.high - span.low) / 2 * 1e3:.4f}"
    return entry


def _case(result: GateResult) -> str:
    sentence = for_terminal(result.sentence)  # XML has no controls, escaped or not
    variant = quoteattr(for_terminal(result.variant))
    name = f"<testcase classname={variant} name={quoteattr(result.gate)}>"
    inner = ""
    if result.state == "failed":
        inner = f"<failure message={quoteattr(sentence)}/>"
    elif result.state == "abstained":
        inner = f"<skipped message={quoteattr(sentence)}/>"
    return f"{name}{inner}<system-out>{escape(sentence)}</system-out></testcase>"
