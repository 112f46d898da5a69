"""A comparison on disk: ``compare.json``, ``compare.md``, and what CI reads.

The JSON holds every sample. ``junit.xml`` has a case for each gate; the two benchmark files follow
github-action-benchmark's custom formats, for trends: they hold head's figures and decide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bertcompress.codec import Json, to_plain
from bertcompress.files import json_text, write_texts
from bertcompress.formatting import bytes_text, count_text, metric_name, metric_text, seconds_text
from bertcompress.gates.ci import BIGGER_NAME, JUNIT_NAME, SMALLER_NAME, gates_table, junit_of
from bertcompress.gates.comparison import Build, Comparison
from bertcompress.gates.comparison_gates import slowdown_text
from bertcompress.report.markdown import table_lines
from bertcompress.report.tables.blocks import Table, text_table
from bertcompress.sinks import fenced, for_markdown
from bertcompress.stats.slowdown import IS_HEAD

JSON_NAME, MARKDOWN_NAME = "compare.json", "compare.md"
SHOWN_FLIPS = 5


@dataclass(frozen=True)
class ComparisonFiles:
    """Where the files are."""

    json: Path
    markdown: Path
    junit: Path
    smaller: Path
    bigger: Path


COMPARISON_NAMES = (JSON_NAME, MARKDOWN_NAME, JUNIT_NAME, SMALLER_NAME, BIGGER_NAME)
"""All files of a comparison."""


def write_comparison(comparison: Comparison, folder: Path) -> ComparisonFiles:
    """Writes all files, each whole or not at all.

    Raises:
        RunError: If the folder can't be written.
    """
    smaller, bigger = benchmark_lists(comparison)
    texts = {
        JSON_NAME: json_text(to_plain(comparison)),
        MARKDOWN_NAME: comparison_markdown(comparison),
        JUNIT_NAME: junit_of(comparison.gates),
        SMALLER_NAME: json_text(smaller, indent=2),
        BIGGER_NAME: json_text(bigger, indent=2),
    }
    ended = {name: text if text.endswith("\n") else text + "\n" for name, text in texts.items()}
    return ComparisonFiles(*write_texts(folder, ended))


def headline(comparison: Comparison) -> str:
    """Returns the outcome in one line."""
    failed = [gate.gate for gate in comparison.gates if gate.state == "failed"]
    doubtful = [gate.gate for gate in comparison.gates if gate.state == "abstained"]
    head = comparison.head.name
    if failed:
        return f"{head} is worse: {', '.join(failed)}"
    if doubtful:
        return f"{head} is not shown to be worse; not decided: {', '.join(doubtful)}"
    return f"{head} is not worse than {comparison.base.name}"


def comparison_markdown(comparison: Comparison) -> str:
    """Returns the comparison as Markdown, for terminals, pull requests and job summaries."""
    machine, settings = comparison.environment, comparison.settings
    gates = table_lines(gates_table(comparison.gates))
    lines = [f"# {for_markdown(headline(comparison))}", "", *gates, ""]
    lines += ["## Figures", "", *table_lines(_figures(comparison))]
    if comparison.slowdown is not None:
        lines += ["", _measured(comparison)]
    flips = comparison.paired.flips[:SHOWN_FLIPS]
    if flips:
        lines += ["", f"## Answers that changed: {count_text(comparison.paired.flip_count)}", ""]
        lines += [
            "- " + for_markdown(f"{flip.text} — {flip.base} → {flip.answer} (right: {flip.gold})")
            for flip in flips
        ]
    lines += ["", "## Where it was measured", ""]
    lines += [
        f"- {for_markdown(machine.cpu_model)}, {machine.threads} threads, {machine.system}, "
        f"{machine.date}",
        f"- {count_text(comparison.dataset.count)} examples of "
        f"{for_markdown(comparison.dataset.source)} "
        f"({comparison.dataset.split}, {comparison.dataset.fingerprint}), seed {settings.seed}",
        *(f"- {for_markdown(note)}" for note in comparison.notes),
    ]
    if comparison.command:
        lines += ["", "## Measure it again", "", *fenced([comparison.command])]
    return "\n".join([*lines, ""])


def comparison_json(comparison: Comparison) -> dict[str, Json]:
    """Returns the outcome and the figures without the samples: what ``--json`` prints."""
    return {
        "verdict": headline(comparison),
        "slowdown": to_plain(comparison.slowdown),
        "gates": to_plain(comparison.gates),
        "base": _build_json(comparison.base),
        "head": _build_json(comparison.head),
        "notes": to_plain(comparison.notes),
    }


def benchmark_lists(comparison: Comparison) -> tuple[list[Json], list[Json]]:
    """Returns head's figures for github-action-benchmark: smaller and bigger is better."""
    head, slowdown = comparison.head, comparison.slowdown
    smaller = [
        _entry(head.name, "file", head.size.file_bytes / 1e6, "MB"),
        _entry(head.name, "peak memory", head.peak_bytes / 1e6, "MB"),
    ]
    if slowdown is not None:
        entry = _entry(head.name, "slowdown against base", slowdown.estimate * 100, "%")
        entry["range"] = f"{(slowdown.high - slowdown.low) / 2 * 100:.2f}"
        smaller.append(entry)
    accuracy = head.accuracy
    bigger = [_entry(head.name, accuracy.metric, accuracy.value, "share")]
    return [*smaller], [*bigger]


def _build_json(build: Build) -> Json:
    return to_plain(
        {
            "runtime": build.runtime,
            "file_bytes": build.size.file_bytes,
            "parameters": build.size.parameters,
            "operations": build.operations,
            "kernels": build.kernels,
            "peak_bytes": build.peak_bytes,
            build.accuracy.metric: build.accuracy.value,
        }
    )


def _figures(comparison: Comparison) -> Table:
    base, head = comparison.base, comparison.head
    before, after = base.accuracy, head.accuracy
    rows = [
        (
            metric_name(after.metric),
            metric_text(before.metric, before.value),
            metric_text(after.metric, after.value),
        ),
        ("file", bytes_text(base.size.file_bytes), bytes_text(head.size.file_bytes)),
        ("peak memory", bytes_text(base.peak_bytes), bytes_text(head.peak_bytes)),
        ("parameters", _count(base.size.parameters), _count(head.size.parameters)),
    ]
    if comparison.rounds:
        times = [seconds_text(_median(comparison, is_head)) for is_head in (False, True)]
        rows.append(("median of one sentence", times[0], times[1]))
    for name in dict.fromkeys([*base.kernels, *head.kernels]):
        rows.append((name, str(base.kernels.get(name, 0)), str(head.kernels.get(name, 0))))
    return text_table("Figures", ("", "base", "head"), rows, kind="words")


def _measured(comparison: Comparison) -> str:
    slowdown = comparison.slowdown
    assert slowdown is not None
    return (
        f"{comparison.head.name} is {slowdown_text(slowdown)}, from {slowdown.rounds} rounds of "
        "four fresh processes (base, head, head, base) that took turns on the same sentences; "
        f"two processes of one build differ by {slowdown.noise:.1%} (standard deviation)."
    )


def _median(comparison: Comparison, is_head: bool) -> float:
    return median(
        second
        for round_ in comparison.rounds
        for entrant, side in zip(round_.entrants, IS_HEAD, strict=True)
        if side == is_head
        for second in entrant.seconds[0]
    )


def _entry(name: str, figure: str, value: float, unit: str) -> dict[str, Json]:
    return {"name": f"{name}: {figure}", "unit": unit, "value": round(value, 6)}


def _count(count: int | None) -> str:
    return "—" if count is None else count_text(count)
