"""What the scripts that measure artifacts share: their subject, their machine, their two files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertcompress.artifacts.artifact import library_versions
from bertcompress.bench.variant import Subject, subject_of
from bertcompress.data.load import load_dataset
from bertcompress.inference.predictor import Predictor
from bertcompress.machine.environment import read_environment


def tested_on(model: Predictor, data: str) -> Subject:
    """Returns a data set's test split as a model reads it."""
    return subject_of(model, load_dataset(data, task=model.task.name, split="test"))


def machine(threads: int, *libraries: str) -> dict[str, Any]:
    """Returns what a report says of the machine and of the libraries that ran."""
    return {
        "cpu": read_environment(threads=threads, thread_variables={}).cpu_model,
        "threads": threads,
        "versions": library_versions(*libraries),
    }


def opening(facts: Mapping[str, Any]) -> str:
    """Returns the beginning of a report: the machine and the versions."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return f"{facts['cpu']}, {facts['threads']} threads; {versions}."


def publish(facts: Mapping[str, Any], text: str, out: Path | None) -> None:
    """Prints a report, and writes OUT.json and OUT.md."""
    print(text)
    if out is not None:
        out.with_suffix(".json").write_text(json.dumps(facts) + "\n", encoding="utf-8")
        out.with_suffix(".md").write_text(text, encoding="utf-8")
