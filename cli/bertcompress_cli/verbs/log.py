"""``bertcompress log``: the lineage of the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.errors import UsageError
from bertcompress_cli.options import JsonOption

if TYPE_CHECKING:
    from bertcompress.workspace import Line


def log(*, as_json: JsonOption = False) -> None:
    """Print the workspace's artifacts and their figures."""
    from bertcompress.workspace import FILE_NAME, find_workspace
    from bertcompress_cli.output import result, say, table

    workspace = find_workspace(Path())
    if workspace is None:
        raise UsageError(
            f"there is no {FILE_NAME} here; type: bertcompress init --model MODEL --data DATA"
        )
    lines = workspace.lineage()
    if as_json:
        facts = {"model": workspace.model, "artifacts": [_facts(line) for line in lines]}
        result("", facts, as_json=True)
        return
    rows = [(workspace.model, "the model", "", "", "")] + [_row(line) for line in lines]
    table(("artifact", "made by", "size", "accuracy", "one sentence"), rows)
    if any(line.figures is None for line in lines):
        say("next: bertcompress bench, which measures all of them")


def _facts(line: Line) -> dict[str, object]:
    figures = line.figures
    return {
        "folder": str(line.folder),
        "kind": line.kind,
        "steps": list(line.steps),
        "size_bytes": line.size_bytes,
        "metric": figures.metric if figures else None,
        "accuracy": figures.accuracy if figures else None,
        "latency_s": figures.latency_s if figures else None,
        "report": str(figures.report) if figures else None,
    }


def _row(line: Line) -> tuple[str, str, str, str, str]:
    from bertcompress.formatting import bytes_text, metric_text, seconds_text

    figures = line.figures
    accuracy = latency = "not measured"
    if figures is not None and figures.accuracy is not None:
        accuracy = f"{metric_text(figures.metric, figures.accuracy)} {figures.metric}"
    if figures is not None and figures.latency_s is not None:
        latency = seconds_text(figures.latency_s)
    steps = ", ".join(line.steps)
    return (str(line.folder), steps, bytes_text(line.size_bytes), accuracy, latency)
