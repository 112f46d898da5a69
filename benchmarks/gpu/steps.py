"""Steps with a time budget whose results are kept: a run that was stopped goes on where it was."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcompress.errors import BertCompressError, MissingError

Facts = dict[str, object]


class SkippedError(Exception):
    """Says why a step has nothing to do here."""


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: What the report and the kept file call it.
        work: Does it, in about the seconds it is given, and returns what the report needs.
        budget_s: Seconds it may take.
    """

    name: str
    work: Callable[[float], Facts]
    budget_s: float


class Kept:
    """Results of finished steps, one file each.

    Args:
        folder: Where the files are.
        settings: What they were made with; those made with others are not used.
    """

    def __init__(self, folder: Path, settings: Facts) -> None:
        self._folder = folder
        self._settings = json.loads(json.dumps(settings))
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str) -> Facts | None:
        """Returns what a step left, None if it is not finished."""
        path = self._path(name)
        if not path.is_file():
            return None
        held = json.loads(path.read_text(encoding="utf-8"))
        if held["settings"] != self._settings:
            return None
        result: Facts = held["result"]
        return result

    def put(self, name: str, result: Facts) -> None:
        """Keeps what a step made; the file is whole or not there."""
        path = self._path(name)
        staging = path.with_suffix(".part")
        content = {"settings": self._settings, "result": result}
        staging.write_text(json.dumps(content, indent=1), encoding="utf-8")
        staging.replace(path)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name.replace(':', '.')}.json"


def run_steps(
    steps: Sequence[Step], kept: Kept, *, seconds: float, say: Callable[[str], None]
) -> dict[str, Facts]:
    """Runs the steps that are not finished, as long as there is time.

    A step that can't be done here is skipped with its reason; one that fails is told and the others
    go on. Neither is kept, so both are tried again by the next run.

    Args:
        steps: In this order.
        kept: What earlier runs finished.
        seconds: For all of them.
        say: Takes a line for people.

    Returns:
        For each step what it made, or why it made nothing.
    """
    ends, results = time.monotonic() + seconds, {}
    for step in steps:
        found, left = kept.get(step.name), ends - time.monotonic()
        if found is not None:
            results[step.name] = found
            say(f"{step.name}: kept from an earlier run")
            continue
        if left < min(step.budget_s, 5.0):
            results[step.name] = {"skipped": "no time was left; run again to go on"}
            say(f"{step.name}: no time left")
            continue
        started = time.monotonic()
        results[step.name] = _done(step, min(step.budget_s, left))
        took = round(time.monotonic() - started, 1)
        results[step.name]["seconds"] = took
        outcome = next((one for one in ("skipped", "failed") if one in results[step.name]), None)
        if outcome is None:
            kept.put(step.name, results[step.name])
        say(f"{step.name}: {took} s" + _why(results[step.name], outcome))
    return results


def _done(step: Step, budget_s: float) -> Facts:
    try:
        return dict(step.work(budget_s))
    except (SkippedError, MissingError) as reason:
        return {"skipped": str(reason)}
    except (BertCompressError, RuntimeError, ValueError, OSError) as error:
        return {"failed": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"}


def _why(result: Facts, outcome: str | None) -> str:
    return f" ({outcome}: {result[outcome]})" if outcome else ""
