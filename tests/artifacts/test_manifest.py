"""The manifest: what it says, and what its hashes catch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertcompress.artifacts.manifest import (
    Manifest,
    Step,
    artifact_bytes,
    kind_of,
    read_manifest,
    verify,
    write_manifest,
)
from bertcompress.errors import LoadError

STEP = Step(
    "Quantize", {"bits": 8}, 2.0, 10, None, 400, 100, {"audit": {"MatMul": 3}}, {"onnx": "1"}
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("# card")
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"graph bytes")
    write_manifest(tmp_path, kind="onnx", task="text-classification", history=[STEP])
    return tmp_path


def read(folder: Path) -> Manifest:
    manifest = read_manifest(folder)
    assert manifest is not None
    return manifest


def test_it_comes_back(folder: Path) -> None:
    manifest = read(folder)

    assert (manifest.kind, manifest.task, manifest.history) == (
        "onnx",
        "text-classification",
        (STEP,),
    )
    assert sorted(manifest.files) == ["README.md", "config.json", "onnx/model.onnx"]
    assert manifest.files["config.json"] == (
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
    assert manifest.runtime == {}


def test_the_runtimes_settings_come_back(folder: Path) -> None:
    path = folder / "bertcompress.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "runtime": {"threads": 2}}))

    assert read(folder).runtime == {"threads": 2}


def test_an_untouched_folder_verifies(folder: Path) -> None:
    verify(folder, read(folder))


def test_an_edited_or_deleted_model_card_verifies(folder: Path) -> None:
    (folder / "README.md").write_text("# my own words")
    verify(folder, read(folder))
    (folder / "README.md").unlink()
    verify(folder, read(folder))


@pytest.mark.parametrize("content", [b"graph bytez", b"graph", b"", b"graph bytes and more"])
def test_an_altered_file_is_named(folder: Path, content: bytes) -> None:
    path = folder / "onnx" / "model.onnx"
    path.write_bytes(content)

    with pytest.raises(LoadError, match=f"^{path} is not the file that was written"):
        verify(folder, read(folder))


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "config.json").unlink()

    with pytest.raises(LoadError, match=f"^{folder / 'config.json'} is missing; make the artifact"):
        verify(folder, read(folder))


def test_a_plain_folder_has_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{junk", "is damaged: Expecting property name"),
        (b"\xff", "is damaged: 'utf-8' codec can't decode"),
        (b"[]", "is damaged: list indices must be"),
        (b"{}", "is damaged: 'format' is missing; make the artifact again"),
        (b'{"format": "1"}', "has format '1', and formats are 1 to 2"),
        (b'{"format": 1, "kind": "plan"}', "is damaged: there is no kind 'plan'"),
        (b'{"format": 1, "kind": "onnx", "task": "t", "history": [{"a": 1}]}', "is damaged: "),
        (
            b'{"format": 1, "kind": "onnx", "task": "text-classification", '
            b'"history": [], "files": 3}',
            "is damaged: files must be an object, got int",
        ),
        (b'{"format": 3}', "has format 3, this bertcompress reads up to 2; type: pip install --up"),
    ],
)
def test_what_can_not_be_read_is_one_sentence(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "bertcompress.json").write_bytes(content)

    with pytest.raises(LoadError) as caught:
        read_manifest(tmp_path)

    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'bertcompress.json'} ")
    assert sentence in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("files", "kind", "size_bytes"),
    [
        (["model.safetensors"], "checkpoint", 10),
        (["pytorch_model.bin"], "checkpoint", 10),
        (["model.safetensors", "pytorch_model.bin"], "checkpoint", 10),
        (
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
            "checkpoint",
            20,
        ),
        (["onnx/model.onnx"], "onnx", 10),
        (["onnx/model.onnx", "model.safetensors"], "checkpoint", 10),
        (["onnx/model.onnx", "pytorch_model.bin"], "checkpoint", 10),
    ],
)
def test_plain_folders_are_known_by_their_files(
    tmp_path: Path, files: list[str], kind: str, size_bytes: int
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"0123456789")

    assert kind_of(tmp_path) == kind
    assert artifact_bytes(tmp_path) == size_bytes
