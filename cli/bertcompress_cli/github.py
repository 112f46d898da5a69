"""What GitHub Actions shows of a run: the job's summary, the step's outputs, annotations.

Actions says where it reads them by environment variables; outside of it there are none and nothing
is written. Other CI reads ``junit.xml``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bertcompress.errors import RunError
from bertcompress.gates.ci import annotations_of
from bertcompress.gates.gate import GateResult
from bertcompress.sinks import for_output_file

MOST_BYTES = 1_000_000
"""Actions refuses a step's summary above 1 MiB."""


def publish(
    summary: str, results: Sequence[GateResult], outputs: Mapping[str, str | Path | float]
) -> None:
    """Gives Actions the summary as Markdown, an annotation for each doubt, and the outputs.

    Raises:
        RunError: If a file that Actions names can't be written.
    """
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in annotations_of(results):
            print(line, file=sys.stderr)
    _append("GITHUB_STEP_SUMMARY", _shortened(summary))
    counts = {
        state: sum(one.state == state for one in results)
        for state in ("passed", "failed", "abstained")
    }
    given = {"ok": str(not counts["failed"]).lower(), **counts, **outputs}
    lines = (for_output_file(name, str(value)) for name, value in given.items())
    _append("GITHUB_OUTPUT", "".join(lines))


def _append(variable: str, text: str) -> None:
    path = os.environ.get(variable)
    if not path or not text:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text if text.endswith("\n") else f"{text}\n")
    except OSError as error:
        raise RunError(
            f"can't write {variable}, {path}: {error.strerror or error}; unset it outside of CI"
        ) from error


def _shortened(text: str) -> str:
    if len(text.encode()) <= MOST_BYTES:
        return text
    kept = text.encode()[:MOST_BYTES].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\nThe rest is in the report's files: this page has no room for it.\n"
