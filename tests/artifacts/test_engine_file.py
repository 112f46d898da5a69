"""No plan is handed out whose SHA-256 sidecar and manifest do not both carry."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.artifacts.engine_file import check_plan, read_engine, read_record, write_engine
from bertcompress.artifacts.engine_record import EngineRecord, Platform, Profile
from bertcompress.artifacts.manifest import plan_path, write_manifest
from bertcompress.errors import LoadError

PLAN = b"kernels"
RECORD = EngineRecord(
    "a" * 64,
    "b" * 64,
    Platform("11.1", "13.0", "580", "NVIDIA H100", "9.0", 132, 81559, "linux-x86_64"),
    (Profile((1, 1), (1, 9), (1, 16)),),
    {"tf32": False},
    hashlib.sha256(PLAN).hexdigest(),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_engine(tmp_path, PLAN, RECORD)
    write_manifest(tmp_path, kind="engine", task="feature-extraction", history=[])
    return tmp_path


def test_plan_and_sidecar_come_back(folder: Path) -> None:
    assert read_engine(folder) == (PLAN, RECORD)
    assert read_record(folder) == RECORD


def test_the_sidecar_is_read_without_the_plan(folder: Path) -> None:
    plan_path(folder).write_bytes(b"altered")

    assert read_record(folder) == RECORD
    with pytest.raises(LoadError, match="is not loaded: its SHA-256 is not the one in its sidecar"):
        read_engine(folder)


def test_a_plan_that_the_manifest_does_not_carry_is_refused(folder: Path) -> None:
    other = replace(RECORD, plan_sha256=hashlib.sha256(b"other").hexdigest())
    plan_path(folder).write_bytes(b"other")  # with a sidecar that fits it
    write_engine(folder / "elsewhere", b"other", other)
    made = plan_path(folder / "elsewhere").with_name("model.json")
    made.replace(plan_path(folder).with_name("model.json"))

    with pytest.raises(LoadError, match="the folder's manifest does not carry its SHA-256"):
        read_engine(folder)


def test_a_folder_of_another_name_is_refused(folder: Path) -> None:
    plan_path(folder).parent.rename(folder / "engines" / "renamed")
    write_manifest(folder, kind="engine", task="feature-extraction", history=[])

    with pytest.raises(LoadError, match=f"folder is called renamed and .* {RECORD.key}; build it"):
        read_engine(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing, so nothing says what"),
        ("{", "is damaged"),
        ("{}", "damaged: .* missing"),
    ],
)
def test_a_sidecar_that_can_not_be_read(content: str | None, message: str, folder: Path) -> None:
    sidecar = plan_path(folder).with_name("model.json")
    sidecar.unlink()
    if content is not None:
        sidecar.write_text(content, encoding="utf-8")

    for read in (read_engine, read_record):
        with pytest.raises(LoadError, match=message):
            read(folder)


def test_bytes_are_held_to_their_record() -> None:
    check_plan(PLAN, RECORD, where="here")

    with pytest.raises(LoadError, match="here is not loaded"):
        check_plan(PLAN + b" ", RECORD, where="here")
