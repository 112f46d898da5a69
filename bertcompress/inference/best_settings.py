"""Settings that were found best for running an artifact, kept in its manifest.

The bench finds them by measuring (`bertcompress.bench.tuning`); predict, evaluate and serve use
them. They hold for one runtime on one kind of machine: on another CPU, or where fewer or more
CPUs may be used, they are passed over with a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, cast

from bertcompress.artifacts.folder import MANIFEST_NAME
from bertcompress.artifacts.manifest import Manifest
from bertcompress.errors import LoadError, UsageError
from bertcompress.files import json_text, write_whole
from bertcompress.reading import read_json

TOKEN_BUDGET = 16_384
"""Positions in a batch where nothing was measured: 32 texts of 512 tokens."""

CHOICE = "choice"
"""The key of the choice of a runtime, beside the runtimes' own names."""


@dataclass(frozen=True)
class RuntimeSettings:
    """How one runtime runs one artifact best on one machine.

    Attributes:
        runtime: The runtime's name, ``ort-cpu``.
        latency_threads: Threads for one text at a time.
        streams: Runtimes opened side by side for many texts.
        threads: Threads of each of them.
        batch_size: Texts in a batch.
        sort_by_length: Whether batches are made of texts of similar length, or as they come.
        cpu_model: The CPU that this was measured on.
        cpus: The CPUs that could be used there.
        token_budget: Positions of the largest batch that was tried, padding too: longer texts make
            smaller batches.
    """

    runtime: str
    latency_threads: int
    streams: int
    threads: int
    batch_size: int
    sort_by_length: bool
    cpu_model: str
    cpus: int
    token_budget: int = TOKEN_BUDGET

    def __post_init__(self) -> None:
        counts = ("latency_threads", "streams", "threads", "batch_size", "cpus", "token_budget")
        for name in counts:
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class RuntimeChoice:
    """Which runtime was found fastest for an artifact on one machine.

    Attributes:
        single: For one text at a time.
        many: For many texts.
        cpu_model: The CPU that this was measured on.
        cpus: The CPUs that could be used there.
    """

    single: str
    many: str
    cpu_model: str
    cpus: int


Found = TypeVar("Found", RuntimeSettings, RuntimeChoice)


def save_runtime_settings(folder: Path, settings: RuntimeSettings) -> bool:
    """Writes the settings into an artifact's manifest; nothing else in it changes.

    Settings of other runtimes stay. The manifest is replaced whole or not at all.

    Returns:
        Whether they were written: not where the folder has no manifest or can't be written.

    Raises:
        LoadError: If the manifest is damaged.
    """
    return _saved(folder, settings.runtime, asdict(settings))


def save_runtime_choice(folder: Path, choice: RuntimeChoice) -> bool:
    """Writes which runtime is fastest into an artifact's manifest, as `save_runtime_settings`."""
    return _saved(folder, CHOICE, asdict(choice))


def _saved(folder: Path, key: str, facts: Mapping[str, object]) -> bool:
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return False
    try:
        raw = cast("dict[str, Any]", read_json(path))
        raw["runtime"] = {**raw.get("runtime", {}), key: dict(facts)}
    except (ValueError, TypeError, AttributeError) as error:
        raise LoadError(f"{path} is damaged: {error}; make the artifact again") from error
    return _replaced(path, json_text(raw, indent=2) + "\n")


def runtime_settings_of(manifest: Manifest | None, runtime: str) -> RuntimeSettings | None:
    """Returns the settings saved for a runtime, None if there are none that can be read."""
    return _read(RuntimeSettings, manifest, runtime)


def runtime_choice_of(manifest: Manifest | None) -> RuntimeChoice | None:
    """Returns which runtime was found fastest, None if none was or it can't be read."""
    return _read(RuntimeChoice, manifest, CHOICE)


def _read(kind: type[Found], manifest: Manifest | None, key: str) -> Found | None:
    saved = manifest.runtime.get(key) if manifest else None
    if not isinstance(saved, Mapping):
        return None
    kinds = {"int": int, "str": str, "bool": bool}
    known = {field.name: kinds[str(field.type)] for field in fields(kind)}
    values: dict[str, Any] = {name: saved.get(name) for name in known}
    if any(type(values[name]) is not wanted for name, wanted in known.items()):
        return None  # of another version: measured anew at the next bench
    return kind(**values)


def usable(settings: Found | None, *, cpu_model: str, cpus: int) -> tuple[Found | None, str]:
    """Returns the settings if they hold on this machine, or None with the sentence that says why.

    Args:
        settings: What an artifact's manifest says: settings, or the choice of a runtime.
        cpu_model: This machine's CPU.
        cpus: The CPUs that may be used here.
    """
    if settings is None:
        return None, ""
    if settings.cpu_model != cpu_model:
        return None, (
            f"its settings were found best on {settings.cpu_model} and are not used on "
            f"{cpu_model}; bertcompress bench finds those for this machine"
        )
    if settings.cpus != cpus:
        return None, (
            f"its settings were found best on {settings.cpus} CPUs and are not used on {cpus}; "
            "bertcompress bench finds those for this machine"
        )
    return settings, ""


def _replaced(path: Path, text: str) -> bool:
    try:
        write_whole(path, text.encode())
    except OSError:
        return False
    return True
