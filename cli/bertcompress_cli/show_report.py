"""Prints a report's table and verdict, and what its bounds say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bertcompress.gates.ci import gates_table, write_ci_files
from bertcompress.gates.gate import GateLimits, GateResult, check_gates, enforce
from bertcompress.report.markdown import markdown_of, table_lines
from bertcompress.report.report_files import HTML_NAME, summary_json
from bertcompress.report.schema import Report
from bertcompress.report.summary import Summary, summarize
from bertcompress.report.tables.variants import summary_table
from bertcompress_cli.github import publish
from bertcompress_cli.output import print_table, result, say


def show_report(report: Report, folder: Path, *, as_json: bool) -> None:
    """Prints the table and the verdict for people, and the page's path as the result."""
    page = folder / HTML_NAME
    summary = summarize(report)
    if as_json:
        result("", {"report": str(page), **summary_json(report, summary)}, as_json=True)
        return
    print_table(summary_table(report, summary), stderr=True)
    show_sentences(summary.verdict.sentences)
    result(page, {}, as_json=False)


def show_sentences(sentences: Sequence[str]) -> None:
    """Prints sentences for people on stderr, a line each."""
    for sentence in sentences:
        say(sentence)


def check(report: Report, limits: GateLimits, *, variants: Sequence[str] = ()) -> list[GateResult]:
    """Compares a report with bounds and says what was found; fails if one was broken.

    Raises:
        AccuracyGateError: Accuracy fell further than allowed.
        SpeedGateError: Speed, latency, size or memory is outside its bound.
    """
    results = list(check_gates(report, limits, variants=variants))
    settle(results)
    return results


def settle(results: Sequence[GateResult], *, fail_on_abstain: bool = False) -> None:
    """Says what was found, and fails if a bound was broken.

    Raises:
        AccuracyGateError: Accuracy fell further than allowed.
        SpeedGateError: Speed, latency, size or memory is outside its bound, or `fail_on_abstain`
            and that can't be told.
    """
    show_sentences([f"{gate.state}: {gate.sentence}" for gate in results if gate.state != "failed"])
    enforce(results, fail_on_abstain=fail_on_abstain)


def tell_ci(
    report: Report,
    summary: Summary,
    results: Sequence[GateResult],
    *,
    page: Path,
    out: Path | None,
) -> None:
    """Writes what CI reads: files in the folder `out`, and what GitHub Actions asks for."""
    outputs: dict[str, str | Path | float] = {
        "verdict": summary.verdict.headline,
        "report": page,
    }
    if out is not None:
        outputs["junit"] = write_ci_files(report, results, out, summary=summary)[0]
    text = "\n".join([*table_lines(gates_table(results)), "", markdown_of(report, summary)])
    publish(text, results, outputs)
