"""A manifest covers every file that changes an answer: one byte changed, one file more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import Artifact, OnnxModel, save
from bertcompress.artifacts.manifest import read_manifest, verify
from bertcompress.bert.loading.load import load
from bertcompress.errors import LoadError
from bertcompress.inference.predictor import Predictor
from fixtures.embeddings import MakeFolder, dense, pooling

ADDED = (
    *("special_tokens_map.json", "added_tokens.json", "vocab.txt", "spiece.model", "modules.json"),
    *("sentence_bert_config.json", "config_sentence_transformers.json", "trained_ranges.json"),
    *("1_Pooling/config.json", "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin"),
    *("adapter_config.json", "model-00002-of-00002.safetensors", "pytorch_model.bin"),
)
FREE = ("README.md",)
"""Files that people edit, from which no answer comes."""


@pytest.fixture(params=["checkpoint", "graph", "vectors"])
def folder(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    tiny_graph: Callable[..., OnnxModel],
    tiny_checkpoint: Callable[..., Artifact],
    embedding_folder: MakeFolder,
) -> Path:
    """Gives an artifact of each kind, with all the files that it can have."""
    made = {
        "checkpoint": tiny_checkpoint,
        "graph": tiny_graph,
        "vectors": lambda: load(embedding_folder(pooling("mean"), dense(32, 8))),
    }
    return save(made[request.param](), tmp_path / "artifact")


def test_one_changed_byte_of_any_file_is_refused(folder: Path, tmp_path: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest is not None
    files = [path for path in folder.rglob("*") if path.is_file()]
    covered = {*manifest.files, "bertcompress.json"}
    assert {path.relative_to(folder).as_posix() for path in files} == covered
    for path in files:
        name = path.relative_to(folder).as_posix()
        if name in (*FREE, "bertcompress.json"):
            continue
        sound = path.read_bytes()
        for at in {0, len(sound) // 2, len(sound) - 1}:
            path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
            with pytest.raises(LoadError):
                load(folder)
            with pytest.raises(LoadError):
                answer_with(folder)
        path.write_bytes(sound)
    answer_with(folder)


def answer_with(folder: Path) -> None:
    with Predictor.open(folder, runtime="auto") as model:
        model.predict(["a good film"])


def test_a_file_more_that_would_be_read_is_refused(folder: Path) -> None:
    carried = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    for name in (one for one in ADDED if one not in carried):
        path = folder / name
        had_folder = path.parent.is_dir()
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
        with pytest.raises(LoadError):
            load(folder)
        with pytest.raises(LoadError):
            answer_with(folder)
        path.unlink()
        if not had_folder:
            path.parent.rmdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "my.json").write_text("{}")
    answer_with(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret", "", "a\0b"])
def test_names_stay_inside(folder: Path, name: str) -> None:
    _edit(folder, lambda plain: plain["files"].update({name: "0" * 64}))

    with pytest.raises(LoadError, match="is no name of a file inside the folder"):
        read_manifest(folder)


def test_a_link_that_leads_out_is_not_read(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "config.json", tmp_path / "config.json")
    (folder / "config.json").symlink_to(tmp_path / "config.json")

    manifest = read_manifest(folder)
    assert manifest is not None
    with pytest.raises(LoadError, match="is a link that leads out of"):
        verify(folder, manifest)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("format", 3, "reads up to 2; type: pip install --upgrade"),
        ("format", 0, "formats are 1 to 2"),
        ("format", "2", "formats are 1 to 2"),
        ("format", True, "formats are 1 to 2"),
        ("kind", "pickle", "there is no kind 'pickle'"),
        ("task", "text-generation", "there is no task 'text-generation'"),
        ("history", [{"name": "Run", "code": "x"}], "settings is missing"),
        ("files", ["config.json"], "files must be an object"),
    ],
)
def test_unknown_formats_are_refused(folder: Path, field: str, value: object, told: str) -> None:
    _edit(folder, lambda plain: plain.update({field: value}))

    with pytest.raises(LoadError, match=told):
        load(folder)


def _edit(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    path = folder / "bertcompress.json"
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
