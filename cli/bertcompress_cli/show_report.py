"""Measures variants, writes the report and prints its table and verdict."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcompress.bench.peers import SAMPLES, make_peers
from bertcompress.bench.run import bench
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.variant import Subject, Variant
from bertcompress.gates.ci import gates_table, write_ci_files
from bertcompress.gates.gate import GateLimits, GateResult, check_gates, enforce
from bertcompress.machine.environment import available_threads
from bertcompress.progress import Progress
from bertcompress.report.markdown import markdown_of, summary_table
from bertcompress.report.report_files import HTML_NAME, summary_json, write_report
from bertcompress.report.schema import Report
from bertcompress.report.summary import Summary, summarize
from bertcompress.report.verdict import verdict
from bertcompress.tasks import Feature
from bertcompress_cli.github import publish
from bertcompress_cli.output import result, table
from bertcompress_cli.place import command_line

_STATE, _PEERS = ".state", ".peers"
_INTERVAL = re.compile(r" \([^()]* to [^()]*\)$")


@dataclass(frozen=True)
class PeerSource:
    """What peers are made from.

    Attributes:
        model: The checkpoint's folder.
        features: Returns so many training texts as tokens.
    """

    model: Path
    features: Callable[[int], Sequence[Feature]]


def measure(
    variants: Sequence[Variant],
    subject: Subject,
    settings: BenchSettings,
    folder: Path,
    *,
    peers: PeerSource | None = None,
    progress: Progress,
) -> Report:
    """Measures all variants and writes the report; finished rounds are kept until it is done.

    Args:
        variants: The baseline first.
        subject: What they are measured on.
        settings: How much is measured.
        folder: Where the report goes, and the unfinished parts until then.
        peers: What the peers are made from; needed if the settings ask for them.
        progress: Is told the stage, the steps done and their number.
    """
    state, skipped = folder / _STATE, list[str]()
    if settings.peers and peers is not None:
        made, skipped = make_peers(
            peers.model,
            peers.features(SAMPLES),
            folder / _PEERS,
            threads=settings.threads or available_threads(),
            pad_token_id=subject.pad_token_id,
            progress=progress,
        )
        variants = [*variants, *made]
    report = bench(
        variants,
        subject,
        settings=settings,
        state_root=state,
        command=command_line(),
        skipped=skipped,
        progress=progress,
    )
    write_report(report, folder)
    shutil.rmtree(state, ignore_errors=True)
    shutil.rmtree(folder / _PEERS, ignore_errors=True)
    return report


def show_report(report: Report, folder: Path, *, as_json: bool) -> None:
    """Prints the table and the verdict for people, and the page's path as the result."""
    page = folder / HTML_NAME
    summary = summarize(report)
    if as_json:
        result("", {"report": str(page), **summary_json(report, summary)}, as_json=True)
        return
    header, _, *rows = summary_table(report, summary)
    table(_cells(header), [_cells(row) for row in rows], stderr=True)
    show_sentences(verdict(report, summary).sentences)
    result(page, {}, as_json=False)


def show_sentences(sentences: Sequence[str]) -> None:
    """Prints sentences for people on stderr, a line each."""
    for sentence in sentences:
        print(sentence, file=sys.stderr)


def check(report: Report, limits: GateLimits, *, variants: Sequence[str] = ()) -> list[GateResult]:
    """Compares a report with bounds and says what was found; fails if one was broken.

    Raises:
        AccuracyGateError: Accuracy fell further than allowed.
        SpeedGateError: Speed, latency, size or memory is outside its bound.
    """
    results = list(check_gates(report, limits, variants=variants))
    settle(results)
    return results


def settle(results: Sequence[GateResult]) -> None:
    """Says what was found, and fails if a bound was broken.

    Raises:
        AccuracyGateError: Accuracy fell further than allowed.
        SpeedGateError: Speed, latency, size or memory is outside its bound.
    """
    show_sentences([f"{one.state}: {one.sentence}" for one in results if one.state != "failed"])
    enforce(results)


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
        "verdict": verdict(report, summary).headline,
        "report": page,
    }
    if out is not None:
        outputs["junit"] = write_ci_files(report, results, out, summary=summary)[0]
    text = "\n".join([*gates_table(results), "", markdown_of(report, summary)])
    publish(text, results, outputs)


def _cells(line: str) -> list[str]:
    """Returns a Markdown row's cells without their intervals: the report has those."""
    cells = line.strip().strip("|").split(" | ")
    return [_INTERVAL.sub("", cell.strip().replace("\\|", "|")) for cell in cells]
