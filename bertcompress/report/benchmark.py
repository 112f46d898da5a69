"""The benchmark: all variants measured on the same inputs, in one report."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bertcompress.artifacts.artifact_files import model_files
from bertcompress.bench.run import measure
from bertcompress.bench.settings import BenchSettings
from bertcompress.bench.stages import without_long_passages
from bertcompress.bench.state import StateFolder, Workplace
from bertcompress.bench.variant import Subject, Variant, check
from bertcompress.bench.worker.client import thread_variables
from bertcompress.codec import Json, to_plain
from bertcompress.machine.environment import (
    Environment,
    available_threads,
    busy_cpus,
    read_environment,
)
from bertcompress.progress import Progress, silent
from bertcompress.report.assemble import assemble
from bertcompress.report.schema import FORMAT_VERSION, Report

__all__ = ["Subject", "Variant", "bench"]


def bench(
    variants: Sequence[Variant],
    subject: Subject,
    *,
    settings: BenchSettings | None = None,
    state_root: Path | None = None,
    command: str = "",
    skipped: Sequence[str] = (),
    progress: Progress = silent,
) -> Report:
    """Measures all variants and returns the report.

    Args:
        variants: The baseline first.
        subject: What they are measured on.
        settings: How much is measured.
        state_root: Where finished parts are kept until the run is complete; None keeps none.
        command: The line that repeats the run, for the report.
        skipped: What was asked for and is not among the variants, and why, in sentences.
        progress: Progress callback.

    Raises:
        UsageError: If there is no variant, or two have the same name.
        LoadError: If a variant's folder is not there or is damaged.
        RunError: If a variant can't be loaded or run.
    """
    check(variants, subject)
    settings, too_long = without_long_passages(variants, settings or BenchSettings())
    threads = settings.threads or available_threads()
    load_before = busy_cpus()
    environment = read_environment(threads=threads, thread_variables=thread_variables(threads))
    with tempfile.TemporaryDirectory(prefix="bertcompress-bench-") as name:
        scratch = Path(name)
        key = _state_key(variants, subject, settings, environment)
        state = StateFolder(state_root or scratch / "state", key)
        parts = measure(
            variants,
            subject,
            settings,
            Workplace(scratch, state, threads, progress),
            environment=replace(environment, load_before=load_before),
            skipped=(*skipped, *too_long),
        )
        report = assemble(variants, subject, settings, parts, command=command)
        state.remove()
    return report


def _state_key(
    variants: Sequence[Variant], subject: Subject, settings: BenchSettings, machine: Environment
) -> Json:
    """Returns everything that decides what a finished part holds."""
    files = {}
    for variant in variants:
        stats = [(file.name, file.stat()) for file in model_files(variant.folder)]
        files[variant.name] = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
    lengths = [feature.length for feature in subject.features]
    key = {
        "format": FORMAT_VERSION,
        "variants": [[variant.name, variant.runtime] for variant in variants],
        "files": files,
        "settings": to_plain(settings),
        "task": subject.task.name,
        "reads": [_tokens_of(variant.reads or subject) for variant in variants],
        "data": [subject.dataset.fingerprint, len(lengths), sum(lengths)],
        "machine": [machine.cpu_model, list(machine.cpu_flags), machine.threads],
        "libraries": dict(machine.libraries),
    }
    return to_plain(key)


def _tokens_of(subject: Subject) -> str:
    digest = hashlib.sha256()
    for feature in subject.features:
        digest.update(feature.inputs["input_ids"].tobytes())
    return digest.hexdigest()
