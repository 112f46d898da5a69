"""The engine in an artifact folder: ``engines/<key>/model.plan`` and its sidecar ``model.json``.

Loading a plan runs native code that is in it, so nothing is handed to TensorRT whose SHA-256 the
sidecar and the folder's manifest do not both carry. The bytes that were hashed are returned, and
they are what is loaded: a file exchanged in between has no effect.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from bertcompress.artifacts.engine_record import EngineRecord
from bertcompress.artifacts.manifest import (
    ENGINES,
    PLAN_NAME,
    SIDECAR_NAME,
    plan_path,
    read_manifest,
)
from bertcompress.errors import LoadError
from bertcompress.files import json_text
from bertcompress.reading import read_json

_AGAIN = "build it again: bertcompress build"


def write_engine(folder: Path, plan: bytes, record: EngineRecord) -> None:
    """Writes plan and sidecar below an artifact folder that is being made."""
    place = folder / ENGINES / record.key
    place.mkdir(parents=True)
    (place / PLAN_NAME).write_bytes(plan)
    text = json_text(record.to_json(), indent=2) + "\n"
    (place / SIDECAR_NAME).write_text(text, encoding="utf-8")


def read_engine(folder: Path) -> tuple[bytes, EngineRecord]:
    """Reads the plan of an artifact folder, with its sidecar.

    Raises:
        LoadError: If there is no engine, its sidecar is missing or of another plan, or a hash
            differs. The plan is not loaded then.
    """
    path = plan_path(folder)
    record = _read_sidecar(path.with_name(SIDECAR_NAME))
    try:
        plan = path.read_bytes()
    except OSError as error:
        raise LoadError(f"{path} can't be read: {error.strerror or error}") from error
    check_plan(plan, record, where=str(path))
    manifest = read_manifest(folder)
    carried = manifest.files.get(path.relative_to(folder).as_posix()) if manifest else None
    if carried != record.plan_sha256:
        raise LoadError(
            f"{path} is not loaded: the folder's manifest does not carry its SHA-256; "
            f"{_AGAIN} {folder}"
        )
    if path.parent.name != record.key:
        raise LoadError(
            f"{path} is not loaded: its folder is called {path.parent.name} and its sidecar "
            f"describes the engine {record.key}; {_AGAIN} {folder}"
        )
    return plan, record


def read_record(folder: Path) -> EngineRecord:
    """Reads the sidecar of an artifact folder's engine; the plan is not looked at.

    Raises:
        LoadError: If there is no engine, or its sidecar is missing or damaged.
    """
    return _read_sidecar(plan_path(folder).with_name(SIDECAR_NAME))


def check_plan(plan: bytes, record: EngineRecord, *, where: str) -> None:
    """Fails with a LoadError if a plan is not the one that a sidecar describes."""
    if hashlib.sha256(plan).hexdigest() != record.plan_sha256:
        raise LoadError(
            f"{where} is not loaded: its SHA-256 is not the one in its sidecar; it was altered, "
            f"or the sidecar is another engine's; {_AGAIN}"
        )


def _read_sidecar(path: Path) -> EngineRecord:
    try:
        return EngineRecord.from_json(read_json(path))
    except FileNotFoundError as error:
        raise LoadError(
            f"{path} is missing, so nothing says what the engine beside it is; {_AGAIN}"
        ) from error
    except KeyError as error:
        raise LoadError(f"{path} is damaged: {error} is missing; {_AGAIN}") from error
    except (OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise LoadError(f"{path} is damaged: {error}; {_AGAIN}") from error
