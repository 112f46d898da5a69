"""Settings in the manifest: written, read, and passed over on another machine."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from bertcompress.artifacts.manifest import Step, read_manifest, verify, write_manifest
from bertcompress.errors import LoadError, UsageError
from bertcompress.inference.best_settings import (
    RuntimeSettings,
    runtime_settings_of,
    save_runtime_settings,
    usable,
)

SETTINGS = RuntimeSettings(
    runtime="ort-cpu",
    latency_threads=2,
    streams=2,
    threads=1,
    batch_size=8,
    sort_by_length=True,
    cpu_model="AMD EPYC",
    cpus=2,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"graph bytes")
    step = Step("Quantize", {"what": "größer"}, 2.0, 10, None, 400, 100)
    write_manifest(tmp_path, kind="onnx", task="text-classification", history=[step])
    return tmp_path


def test_saved_settings_come_back_and_nothing_else_changes(folder: Path) -> None:
    before = json.loads((folder / "bertcompress.json").read_text(encoding="utf-8"))

    assert save_runtime_settings(folder, SETTINGS) is True

    manifest = read_manifest(folder)
    assert manifest is not None
    assert runtime_settings_of(manifest, "ort-cpu") == SETTINGS
    assert runtime_settings_of(manifest, "torch-cpu") is None
    verify(folder, manifest)
    text = (folder / "bertcompress.json").read_text(encoding="utf-8")
    after = json.loads(text)
    assert after.pop("runtime") == {"ort-cpu": manifest.runtime["ort-cpu"]}
    assert after == before
    assert "größer" in text
    assert sorted(path.name for path in folder.iterdir()) == ["bertcompress.json", "onnx"]


def test_each_runtime_has_its_own_and_the_newest_counts(folder: Path) -> None:
    save_runtime_settings(folder, SETTINGS)
    save_runtime_settings(folder, replace(SETTINGS, runtime="openvino-cpu", batch_size=32))
    save_runtime_settings(folder, replace(SETTINGS, batch_size=16))

    manifest = read_manifest(folder)

    one, two = (runtime_settings_of(manifest, name) for name in ("ort-cpu", "openvino-cpu"))
    assert one is not None
    assert two is not None
    assert (one.batch_size, two.batch_size) == (16, 32)


def test_the_file_keeps_its_mode(folder: Path) -> None:
    path = folder / "bertcompress.json"
    path.chmod(0o640)

    save_runtime_settings(folder, SETTINGS)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_folder_that_can_not_be_written_is_left_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / "bertcompress.json").read_bytes()

    def refuse(*arguments: object, **settings: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("bertcompress.inference.best_settings.write_whole", refuse)
        assert save_runtime_settings(folder, SETTINGS) is False
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        assert save_runtime_settings(folder, SETTINGS) is False

    assert (folder / "bertcompress.json").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["bertcompress.json", "onnx"]


def test_a_plain_folder_gets_no_manifest(tmp_path: Path) -> None:
    assert save_runtime_settings(tmp_path, SETTINGS) is False
    assert list(tmp_path.iterdir()) == []
    assert runtime_settings_of(None, "ort-cpu") is None


def test_a_damaged_manifest_is_an_error(folder: Path) -> None:
    for content in ("{", "[]", '{"runtime": 3}'):
        (folder / "bertcompress.json").write_text(content, encoding="utf-8")
        with pytest.raises(LoadError, match=r"is damaged: .*; make the artifact again"):
            save_runtime_settings(folder, SETTINGS)


@pytest.mark.parametrize(
    "saved", [3, {"threads": 2}, {"batch_size": "8"}, {"sort_by_length": 1}, {"cpus": True}]
)
def test_settings_of_another_version_are_passed_over(folder: Path, saved: object) -> None:
    save_runtime_settings(folder, SETTINGS)
    path = folder / "bertcompress.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    whole = raw["runtime"]["ort-cpu"]
    changed = {**whole, **saved} if isinstance(saved, dict) and "threads" not in saved else saved
    path.write_text(json.dumps({**raw, "runtime": {"ort-cpu": changed}}), encoding="utf-8")

    assert runtime_settings_of(read_manifest(folder), "ort-cpu") is None


def test_they_hold_on_the_machine_they_were_found_on_alone() -> None:
    assert usable(SETTINGS, cpu_model="AMD EPYC", cpus=2) == (SETTINGS, "")
    assert usable(None, cpu_model="AMD EPYC", cpus=2) == (None, "")
    other, why = usable(SETTINGS, cpu_model="Xeon", cpus=2)
    assert other is None
    assert "found best on AMD EPYC and are not used on Xeon; bertcompress bench" in why
    fewer, why = usable(SETTINGS, cpu_model="AMD EPYC", cpus=1)
    assert fewer is None
    assert "found best on 2 CPUs and are not used on 1" in why


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="streams must be at least 1, got 0"):
        replace(SETTINGS, streams=0)
