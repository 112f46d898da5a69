"""The manifest of an artifact folder: what it is, where it came from, and each file's SHA-256.

``bertcompress.json`` holds the history of steps and the hashes that `verify` checks on load, so a
file that was cut off or altered is an error that names it. `kind_of` and `artifact_bytes` also
answer for plain Transformers folders, which have no manifest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, cast, get_args

from bertcompress.artifacts.folder import MANIFEST_NAME
from bertcompress.artifacts.graph_file import graph_files, graph_path
from bertcompress.artifacts.model_config import TASK_NAMES
from bertcompress.codec import from_plain
from bertcompress.errors import DataError, LoadError
from bertcompress.files import json_text
from bertcompress.reading import inner_path, is_inner_name, read_json

FORMAT_VERSION = 2
"""1 had no `Step.data`: a step's examples stood among its settings. It is still read."""
_READ = (
    *("config.json", "tokenizer*.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.*", "merges.txt", "*.model", "modules.json", "sentence_*_config.json"),
    *("config_sentence_transformers.json", "trained_r*.json", "adapter_*", "*.safetensors"),
    *("*.safetensors.index.json", "pytorch_model*", "*/config.json", "*/model.safetensors"),
    "*/pytorch_model.bin",
)
"""What readers of a model's folder take up where it is there."""
RANGES_NAME = "trained_ranges.json"

Kind = Literal["checkpoint", "onnx", "engine"]

ENGINES, PLAN_NAME, SIDECAR_NAME = "engines", "model.plan", "model.json"
"""Where an engine lies in its folder: ``engines/<key>/model.plan`` with its sidecar."""


@dataclass(frozen=True)
class Step:
    """One line of an artifact's history.

    Attributes:
        name: The pass, as its class is called.
        settings: The pass's fields, as JSON values.
        seconds: Wall time.
        parameters_before: Number of weights before, or None where the level has no such number.
        parameters_after: Number of weights after.
        bytes_before: Size of the weights or the graph before, bytes.
        bytes_after: Size after, bytes.
        details: What the pass found: per-layer tables, audits, notes. JSON values.
        versions: Versions of the libraries that did the work.
        data: What the context gave that decides the result: fingerprints, by the need's name.
    """

    name: str
    settings: Mapping[str, object]
    seconds: float
    parameters_before: int | None
    parameters_after: int | None
    bytes_before: int
    bytes_after: int
    details: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)

    @property
    def rejected(self) -> str | None:
        """Why the result does not keep what was asked of it; None where it does."""
        return self._said("rejected")

    @property
    def rejected_for(self) -> str | None:
        """``speed`` or ``accuracy``, where the result does not keep what was asked of it."""
        return self._said("rejected_for")

    def _said(self, field_name: str) -> str | None:
        said = self.details.get(field_name)
        return None if said is None else str(said)


@dataclass(frozen=True)
class Manifest:
    """What ``bertcompress.json`` says.

    Attributes:
        kind: ``checkpoint``, ``onnx`` or ``engine``.
        task: A name from `bertcompress.tasks`.
        history: The steps that made the artifact.
        files: SHA-256 of each file in the folder, by relative name.
        runtime: Settings found best for running it (threads, batch), if any were measured.
    """

    kind: Kind
    task: str
    history: tuple[Step, ...]
    files: Mapping[str, str]
    runtime: Mapping[str, object] = field(default_factory=dict)


def write_manifest(folder: Path, *, kind: Kind, task: str, history: Sequence[Step]) -> None:
    """Writes ``bertcompress.json`` with the hash of every file that is in the folder now."""
    manifest = {
        "format": FORMAT_VERSION,
        "kind": kind,
        "task": task,
        "history": [asdict(step) for step in history],
        "files": {
            path.relative_to(folder).as_posix(): file_sha256(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
    text = json_text(manifest, indent=2) + "\n"
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest | None:
    """Reads ``bertcompress.json``.

    Returns:
        None if the folder has none (a plain Transformers folder).

    Raises:
        LoadError: If it can't be read or was written by a newer version.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        raw = cast("Mapping[str, Any]", read_json(path))
        _check_format(path, raw["format"])
        manifest = Manifest(
            kind=_kind(raw["kind"]),
            task=_task(raw["task"]),
            history=tuple(_step(step, raw["format"]) for step in raw["history"]),
            files=_files(raw["files"]),
            runtime=dict(raw.get("runtime", {})),
        )
    except KeyError as error:
        raise LoadError(
            f"{path} is damaged: {error} is missing; make the artifact again"
        ) from error
    except (OSError, ValueError, TypeError, DataError) as error:
        raise LoadError(f"{path} is damaged: {error}; make the artifact again") from error
    return manifest


def _step(raw: Mapping[str, Any], version: int) -> Step:
    """Returns a step; the keys of what it found were words in format 1."""
    step = from_plain(Step, raw)
    if version > 1:
        return step
    return replace(step, details={_as_field(key): value for key, value in step.details.items()})


def _as_field(words: str) -> str:
    return re.sub(r"\W+", "_", words).strip("_").lower()


def _check_format(path: Path, version: object) -> None:
    if type(version) is not int or version < 1:
        raise LoadError(
            f"{path} has format {str(version)[:40]!r}, and formats are 1 to {FORMAT_VERSION}; make "
            "the artifact again"
        )
    if version > FORMAT_VERSION:
        raise LoadError(
            f"{path} has format {version}, this bertcompress reads up to {FORMAT_VERSION}; "
            "type: pip install --upgrade bertcompress"
        )


def _kind(name: object) -> Kind:
    for kind in get_args(Kind):
        if name == kind:
            return cast("Kind", kind)
    raise ValueError(f"there is no kind {name!r}")


def _task(name: object) -> str:
    if name not in TASK_NAMES:
        raise ValueError(f"there is no task {name!r}")
    return str(name)


def _files(raw: object) -> Mapping[str, str]:
    """Returns the hashes by name; a name that leads out of the folder is none."""
    files = from_plain(dict[str, str], raw, "files")
    for name in files:
        if not is_inner_name(name):
            raise ValueError(f"{name!r} is no name of a file inside the folder")
    return files


def verify(folder: Path, manifest: Manifest, *, but: Sequence[str] = ()) -> None:
    """Fails with a LoadError that names the first file which is not as the manifest says.

    That is one whose hash differs, one that is missing, a link that leads out of the folder, and
    one that the manifest does not carry and that would be read: it would change the answers.

    Args:
        folder: The artifact's.
        manifest: What it says.
        but: Patterns of files that are not looked at, such as ``engines/*``.
    """
    for pattern in _READ:
        for path in sorted(folder.glob(pattern)):
            if path.relative_to(folder).as_posix() not in manifest.files:
                raise LoadError(
                    f"{path} is not among the files that {MANIFEST_NAME} carries, and could change "
                    "the answers; remove it, or make the artifact again"
                )
    for name, expected in manifest.files.items():
        path = folder / name
        if name == "README.md":
            continue  # people edit their model cards
        if any(fnmatch(name, pattern) for pattern in but):
            continue
        if not path.is_file():
            raise LoadError(f"{path} is missing; make the artifact again")
        try:
            inner_path(folder, name)
        except ValueError as error:
            raise LoadError(f"{path} is not read: {error}; copy the file itself there") from error
        if file_sha256(path) != expected:
            raise LoadError(
                f"{path} is not the file that was written (its SHA-256 differs from "
                f"{MANIFEST_NAME}); copy it again or make the artifact again"
            )


def kind_of(folder: Path) -> Kind:
    """Tells what a folder holds, by its manifest or, where it has none, by its files.

    Weights go before a graph beside them: all passes begin at them.

    Raises:
        LoadError: If there are several graphs and no weights, see `graph_path`.
    """
    manifest = read_manifest(folder)
    if manifest is not None:
        return manifest.kind
    return "checkpoint" if _weight_files(folder) or graph_path(folder) is None else "onnx"


def plan_path(folder: Path) -> Path:
    """Returns the file of a folder's engine.

    Raises:
        LoadError: If there is none, or more than one.
    """
    plans = sorted(folder.glob(f"{ENGINES}/*/{PLAN_NAME}"))
    if len(plans) != 1:
        raise LoadError(
            f"{folder} holds {len(plans)} engines and must hold one, {ENGINES}/<key>/{PLAN_NAME}; "
            f"build it: bertcompress build {folder}"
        )
    return plans[0]


def artifact_bytes(folder: Path) -> int:
    """Returns the bytes of what a runtime loads: engine, graph, or the checkpoint's weights."""
    graph, kind = graph_path(folder), kind_of(folder)
    if kind == "engine":
        return plan_path(folder).stat().st_size
    if kind == "onnx" and graph is not None:
        return sum(path.stat().st_size for path in graph_files(graph))
    return sum(path.stat().st_size for path in _weight_files(folder))


def _weight_files(folder: Path) -> list[Path]:
    """Returns the files that Transformers would load: safetensors, or else pickled weights."""
    return [*folder.glob("*.safetensors")] or [*folder.glob("pytorch_model*.bin")]


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
