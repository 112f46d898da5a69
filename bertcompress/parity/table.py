"""A parity ladder in words and cells: one table for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bertcompress.codec import Json, to_plain
from bertcompress.files import json_text, write_texts
from bertcompress.formatting import metric_name, metric_text, percent_text
from bertcompress.parity.step import ParityLadder, ParityStep
from bertcompress.sinks import for_markdown

JSON_NAME, MARKDOWN_NAME = "parity.json", "parity.md"


def columns(ladder: ParityLadder) -> list[str]:
    """Returns the headers; without labels there is no metric."""
    metric = [metric_name(ladder.metric)] if ladder.value is not None else []
    differences = ["largest |Δ|", "mean |Δ|", "SQNR dB", "agreement"]
    return ["step", "runtime", "precision", *differences, *metric, "verdict"]


def rows(ladder: ParityLadder) -> list[list[str]]:
    """Returns the reference's row and one for each step; bounds stand in parentheses."""
    scored = ladder.value is not None
    metric_cells = [_metric(ladder, ladder.value)] if scored else []
    lines = [
        [ladder.reference, ladder.runtime, "fp32", "", "", "", "", *metric_cells, "the reference"]
    ]
    for step in ladder.steps:
        metric = [_with_drop(ladder, step)] if scored else []
        lines.append([step.artifact, step.runtime, step.precision, *_figures(step), *metric])
        lines[-1].append(verdict(step))
    return lines


def verdict(step: ParityStep) -> str:
    """Returns what became of a step."""
    if step.left_out:
        return "left out"
    return "outside" if step.broken else "within"


def failure(step: ParityStep) -> str:
    """Returns what is wrong with a step, and where it begins."""
    where = step.divergence.sentence if step.divergence is not None else _NOT_FOUND
    return f"{step.artifact} in {step.runtime}: {'; '.join(step.broken)}; {where}"


def absences(ladder: ParityLadder) -> list[str]:
    """Returns which steps were left out and why, those of one reason together."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for step in ladder.steps:
        if step.left_out:
            reason = step.left_out.removeprefix(f"{step.runtime} ")
            reasons.setdefault(reason, {}).setdefault(step.artifact, []).append(step.runtime)
    sentences = []
    for reason, where in reasons.items():
        named = "; ".join(f"{artifact} in {', '.join(names)}" for artifact, names in where.items())
        sentences.append(f"left out: {named}: {reason}")
    return sentences


_NOT_FOUND = "it has no layers that can be compared with the reference's one by one"


def plain(ladder: ParityLadder) -> dict[str, Json]:
    """Returns the ladder as JSON has it."""
    fields = to_plain(ladder)
    assert isinstance(fields, dict)
    return fields


def outcome(ladder: ParityLadder) -> str:
    """Returns the whole in one line."""
    run = [step for step in ladder.steps if not step.left_out]
    kept = f"{len(run) - len(ladder.failed)} of {len(run)} steps are within their bounds"
    return f"{kept}; {ladder.count:,} texts, {ladder.texts}"


def markdown(ladder: ParityLadder) -> str:
    """Returns the ladder as a page."""
    header = columns(ladder)
    lines = ["# Parity", "", f"{for_markdown(outcome(ladder))}.", "", _cells(header)]
    lines.append("|---|---|---|" + "---:|" * (len(header) - 4) + "---|")
    lines += [*map(_cells, rows(ladder)), ""]
    sentences = [*map(failure, ladder.failed), *absences(ladder)]
    lines += [f"- {for_markdown(sentence)}" for sentence in sentences]
    return "\n".join(lines).rstrip() + "\n"


def _cells(row: Sequence[str]) -> str:
    return f"| {' | '.join(map(for_markdown, row))} |"


def write_parity(ladder: ParityLadder, folder: Path) -> Path:
    """Writes ``parity.json`` and ``parity.md``, each whole or not at all; returns the second.

    Raises:
        RunError: If the folder can't be written.
    """
    text = json_text(plain(ladder), indent=1)
    _, shown = write_texts(folder, {JSON_NAME: text + "\n", MARKDOWN_NAME: markdown(ladder)})
    return shown


def _figures(step: ParityStep) -> list[str]:
    bounds, largest = step.bounds, step.largest_output or 0.0
    if step.max_difference is None:
        return ["–"] * 4
    allowed = None
    if bounds.max_difference is not None:
        allowed = f"{bounds.max_difference * max(1.0, largest):.1e}"
    sqnr = "exact" if step.sqnr_db is None else f"{step.sqnr_db:.1f}"
    least = None if bounds.min_sqnr is None else f"{bounds.min_sqnr:g}"
    agreement = "–" if step.agreement is None else percent_text(step.agreement)
    agreed = None if bounds.min_agreement is None else percent_text(bounds.min_agreement)
    return [
        _bounded(f"{step.max_difference:.1e}", "≤", allowed),
        f"{step.mean_difference:.1e}",
        _bounded(sqnr, "≥", least),
        _bounded(agreement, "≥", agreed),
    ]


def _bounded(text: str, sign: str, bound: str | None) -> str:
    return text if bound is None else f"{text} ({sign} {bound})"


def _metric(ladder: ParityLadder, value: float | None) -> str:
    return "–" if value is None else metric_text(ladder.metric, value)


def _with_drop(ladder: ParityLadder, step: ParityStep) -> str:
    bound = step.bounds.max_drop
    if ladder.value is None or step.value is None or bound is None:
        return _metric(ladder, step.value)
    return _bounded(_metric(ladder, step.value), "≥", _metric(ladder, ladder.value - bound))
