"""Which files of a folder a runtime loads, for every kind of folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.artifacts.artifact_files import manifest_of, model_files
from bertcompress.artifacts.manifest import write_manifest
from bertcompress.errors import LoadError

CHECKPOINT = ("config.json", "model-00001.safetensors", "model-00002.safetensors")
GRAPH = ("config.json", "onnx/model.onnx", "onnx/notes.txt")
BOTH = (*CHECKPOINT, *GRAPH)  # the runtime that is taken unasked runs the weights
ENGINE = (*GRAPH, "engines/ab/model.plan", "engines/ab/model.json")
PEER = (*ENGINE, "peer/b.bin", "peer/a.xml", "peer/readme.md")


@pytest.mark.parametrize(
    ("files", "loaded"),
    [
        (("config.json",), []),
        (("pytorch_model.bin", "training_args.bin"), ["pytorch_model.bin"]),
        (("pytorch_model.bin", *CHECKPOINT), [*CHECKPOINT[1:]]),
        (GRAPH, ["onnx/model.onnx"]),
        (BOTH, [*CHECKPOINT[1:]]),
        (ENGINE, ["engines/ab/model.plan"]),
        (PEER, ["peer/a.xml", "peer/b.bin"]),
    ],
    ids=["nothing", "pickles", "checkpoint", "graph", "both", "engine", "peer"],
)
def test_what_is_nearest_to_the_runtime_wins(
    files: tuple[str, ...], loaded: list[str], tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert [file.relative_to(tmp_path).as_posix() for file in model_files(tmp_path)] == loaded


def test_a_folder_may_have_no_manifest_but_has_to_be_there(tmp_path: Path) -> None:
    assert manifest_of(tmp_path) is None

    write_manifest(tmp_path, kind="onnx", task="feature-extraction", history=[])

    manifest = manifest_of(tmp_path)
    assert manifest is not None
    assert manifest.kind == "onnx"
    with pytest.raises(LoadError, match="elsewhere is not a folder; give the folder of an artif"):
        manifest_of(tmp_path / "elsewhere")
