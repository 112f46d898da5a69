"""The workspace: a folder in which each verb takes the newest artifact and adds the next.

    bertcompress.yaml            model, data, task, seed
    artifacts/001-prune/         artifact folders, numbered in the order they were made
    artifacts/002-quantize/
    reports/001/                 report.json and the others; artifacts.json says what was measured

Artifacts appear whole, by a rename, so an interrupted verb leaves nothing that counts; what it may
leave is a temporary folder ``.001-prune.new.…`` (if its process was killed), which the next verb
removes once that process has ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from bertcompress.artifacts.artifact import (
    MANIFEST_NAME,
    ONNX_NAME,
    Manifest,
    artifact_bytes,
    kind_of,
    read_manifest,
)
from bertcompress.errors import DataError, PassError, UsageError, did_you_mean
from bertcompress.files import json_text, write_whole
from bertcompress.ownership import clear_leftovers, forget, is_busy
from bertcompress.reading import read_json, read_yaml, reason

FILE_NAME = "bertcompress.yaml"
ARTIFACTS, REPORTS = "artifacts", "reports"
MEASURED_NAME = "artifacts.json"
_REPORT_NAME = "report.json"
_KEYS = ("model", "data", "task", "seed")
_NUMBERED = re.compile(r"(\d{3,})(?:-([a-z-]+))?")
_STAGING = re.compile(r"\.(\d{3,}-[a-z-]+)\.(?:new|old)\..+")
_STATE = re.compile(r"\.(\d{3,})-[a-z-]+\.state")
_HASH_DIGITS = 16


@dataclass(frozen=True)
class Figures:
    """What a report found of an artifact.

    Attributes:
        accuracy: The primary metric's value, None if it was not measured.
        metric: Its name.
        latency_s: Median seconds of one sentence, None if it was not measured.
        report: The report's folder.
    """

    accuracy: float | None
    metric: str
    latency_s: float | None
    report: Path


@dataclass(frozen=True)
class Line:
    """One artifact of the lineage.

    Attributes:
        folder: Its folder.
        kind: ``checkpoint`` or ``onnx``.
        steps: The passes that made it, in order.
        size_bytes: What a runtime loads.
        figures: From the newest report that measured it, None if none did.
    """

    folder: Path
    kind: str
    steps: tuple[str, ...]
    size_bytes: int
    figures: Figures | None


@dataclass(frozen=True)
class Workspace:
    """A folder with a ``bertcompress.yaml``.

    Attributes:
        folder: The folder.
        model: What the first verb works on: a folder (relative ones start at `folder`) or a hub
            name.
        data: A path or hub name, or a mapping with columns and the like.
        task: The task, where the model does not say it.
        seed: For everything drawn.
    """

    folder: Path
    model: str
    data: str | Mapping[str, object] | None = None
    task: str | None = None
    seed: int = 0

    def artifacts(self) -> tuple[Path, ...]:
        """Returns the artifact folders in the order they were made."""
        folders = (path for _, path in _numbered(self.folder / ARTIFACTS))
        return tuple(path for path in folders if (path / MANIFEST_NAME).is_file())

    def models(self) -> list[str]:
        """Returns the model, and the artifact folders in the order they were made."""
        return [self.model_here, *(str(folder) for folder in self.artifacts())]

    def newest(self) -> str:
        """Returns the newest artifact's folder; the model, if there is none yet."""
        artifacts = self.artifacts()
        return str(artifacts[-1]) if artifacts else self.model_here

    def newest_checkpoint(self) -> str:
        """Returns the newest artifact that still holds weights and no graph; else the model."""
        checkpoints = [path for path in self.artifacts() if kind_of(path) == "checkpoint"]
        return str(checkpoints[-1]) if checkpoints else self.model_here

    @property
    def model_here(self) -> str:
        """The model as seen from the current folder, where it is a folder."""
        path = Path(self.model).expanduser()
        here = self.folder / path
        return str(here) if here.exists() and not path.is_absolute() else self.model

    def next_artifact(self, verb: str) -> Path:
        """Returns the folder for the next artifact, ``artifacts/003-verb``; it is not made yet."""
        folder = self.folder / ARTIFACTS
        _remove_stale(folder)
        number = _next_number(folder)
        while any(is_busy(state) for state in folder.glob(f".{number:03d}-*.state")):
            number += 1  # another verb is making that one
        return folder / f"{number:03d}-{verb}"

    def next_report(self) -> Path:
        """Returns the folder for the next report, ``reports/003``.

        It is there already where a benchmark was interrupted: the next one goes on in it.
        """
        folder = self.folder / REPORTS
        started = list(_numbered(folder))
        if started and not (started[-1][1] / _REPORT_NAME).is_file():
            return started[-1][1]
        return folder / f"{_next_number(folder):03d}"

    def newest_report(self) -> Path | None:
        """Returns the folder of the newest finished report, None if there is none."""
        reports = (path for _, path in _numbered(self.folder / REPORTS))
        finished = [path for path in reports if (path / _REPORT_NAME).is_file()]
        return finished[-1] if finished else None

    def lineage(self) -> tuple[Line, ...]:
        """Returns every artifact with what is known of it."""
        measured = _measured(self.folder / REPORTS)
        return tuple(_line(path, measured) for path in self.artifacts())


def find_workspace(folder: Path) -> Workspace | None:
    """Returns the workspace that a folder is, None if it is none.

    Raises:
        DataError: Its ``bertcompress.yaml`` can't be read.
        UsageError: It has a key that is not known, or a value that can't be meant.
    """
    file = folder / FILE_NAME
    if not file.is_file():
        return None
    try:
        plain = read_yaml(file)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} can't be read: {reason(error)}") from error
    if not isinstance(plain, Mapping) or not isinstance(plain.get("model"), str):
        raise UsageError(f"{file} must say model: and may say data:, task: and seed:")
    for key in plain:
        if key not in _KEYS:
            near = did_you_mean(str(key), _KEYS) or f"; it has {', '.join(_KEYS)}"
            raise UsageError(f"{file} has no key {key!r}{near}")
    data, task, seed = plain.get("data"), plain.get("task"), plain.get("seed", 0)
    if not (data is None or isinstance(data, str | Mapping)):
        raise UsageError(f"{file}: data must be a path or a mapping, got {data!r}")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise UsageError(f"{file}: seed must be a whole number, got {seed!r}")
    return Workspace(folder, plain["model"], data, None if task is None else str(task), seed)


def newest_report(folder: Path) -> Path:
    """Returns the newest report: a workspace's, else the last one written in or right under it.

    Raises:
        UsageError: There is none.
    """
    workspace = find_workspace(folder)
    if workspace is not None:
        found = workspace.newest_report()
    else:
        files = [*folder.glob(_REPORT_NAME), *folder.glob(f"*/{_REPORT_NAME}")]
        written = max(files, key=lambda file: file.stat().st_mtime_ns, default=None)
        found = None if written is None else written.parent
    if found is None:
        raise UsageError(
            "there is no report here yet; name one, or measure first: bertcompress bench MODEL… "
            "--data DATA -o REPORT"
        )
    return found


def check_no_workspace(folder: Path) -> None:
    """Fails with a UsageError if a folder is a workspace already."""
    file = folder / FILE_NAME
    if file.exists():
        raise UsageError(f"{file} is there already; change it, or take another folder")


def create_workspace(workspace: Workspace) -> Path:
    """Writes the ``bertcompress.yaml`` of a workspace and returns its path.

    Raises:
        UsageError: The folder is a workspace already.
        PassError: It can't be written.
    """
    check_no_workspace(workspace.folder)
    file = workspace.folder / FILE_NAME
    plain = {key: value for key in _KEYS if (value := getattr(workspace, key)) is not None}
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
    _write_text(file, text)
    return file


def record_measured(report: Path, folders: Mapping[str, Path]) -> None:
    """Writes beside a report which artifact each of its variants was.

    Raises:
        PassError: It can't be written.
    """
    known = {
        name: {"folder": folder.name, "sha256": digest}
        for name, folder in folders.items()
        if (digest := _digest(read_manifest(folder))) is not None
    }
    _write_text(report / MEASURED_NAME, json_text(known, indent=2) + "\n")


def _write_text(path: Path, text: str) -> None:
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise PassError(f"could not write {path}: {error.strerror or error}") from error


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yields the numbered entries of a folder in their order."""
    if not folder.is_dir():
        return
    numbered = ((match, path) for path in folder.iterdir() if (match := _match(path)) is not None)
    yield from sorted((int(match[1]), path) for match, path in numbered)


def _match(path: Path) -> re.Match[str] | None:
    return _NUMBERED.fullmatch(path.name) if path.is_dir() else None


def _next_number(folder: Path) -> int:
    return max((number for number, _ in _numbered(folder)), default=0) + 1


def _remove_stale(folder: Path) -> None:
    """Removes what a killed process left, and kept steps of a number that is taken since."""
    if not folder.is_dir():
        return
    upcoming = _next_number(folder)
    for path in [*folder.iterdir()]:
        state, staging = _STATE.fullmatch(path.name), _STAGING.fullmatch(path.name)
        taken = state is not None and int(state[1]) < upcoming
        if taken and not is_busy(path):
            forget(path)
        if staging is not None:
            clear_leftovers(folder / staging[1])


def _line(folder: Path, measured: Mapping[str, Figures]) -> Line:
    manifest = read_manifest(folder)
    steps = tuple(step.name for step in manifest.history) if manifest else ()
    digest = _digest(manifest)
    return Line(
        folder,
        kind_of(folder),
        steps,
        artifact_bytes(folder),
        measured.get(digest) if digest is not None else None,
    )


def _digest(manifest: Manifest | None) -> str | None:
    """Returns the hash by which an artifact is known: of its graph, or of its weights."""
    if manifest is None:
        return None
    weights = sorted(name for name in manifest.files if name.endswith(".safetensors"))
    names = [ONNX_NAME] if ONNX_NAME in manifest.files else weights
    return "".join(manifest.files[name][:_HASH_DIGITS] for name in names) or None


def _measured(folder: Path) -> dict[str, Figures]:
    """Returns the figures of each artifact by its hash; a newer report replaces an older one."""
    figures: dict[str, Figures] = {}
    for _, report in _numbered(folder):
        try:
            known = cast("Any", read_json(report / MEASURED_NAME))
            plain = cast("Any", read_json(report / _REPORT_NAME))
            for row in plain["summary"]["variants"]:
                if row["name"] in known:
                    figures[known[row["name"]]["sha256"]] = _figures(row, plain["metric"], report)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a report that was deleted or damaged says nothing
    return figures


def _figures(row: Mapping[str, object], metric: str, report: Path) -> Figures:
    latency, accuracy = row["latency"], row["accuracy"]
    median: object = None
    if isinstance(latency, Mapping):
        median = latency["median_s"]["estimate"]
    return Figures(
        accuracy=float(accuracy) if isinstance(accuracy, int | float) else None,
        metric=metric,
        latency_s=float(median) if isinstance(median, int | float) else None,
        report=report,
    )
