"""What is saved comes back, and what can't be saved leaves nothing."""

from __future__ import annotations

import copy
import errno
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from bertcompress.artifacts.artifact import (
    Checkpoint,
    OnnxModel,
    Step,
    artifact_bytes,
    kind_of,
    library_versions,
    model_card,
    read_manifest,
    save,
    verify,
)
from bertcompress.bert.loading.load import load
from bertcompress.errors import PassError, UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Make = Callable[..., Checkpoint]
STEP = Step(
    name="PruneHeads",
    settings={"fraction": 0.3, "scope": "global", "seed": None},
    seconds=1.25,
    parameters_before=100,
    parameters_after=80,
    bytes_before=4_000_000,
    bytes_after=3_200_000,
    details={"kept": [[0, 2], [1]], "note": "ü"},
    versions={"torch": "2.13.0"},
)


@pytest.fixture
def graph(tiny_checkpoint: Make) -> OnnxModel:
    """One matrix product with its weights."""
    weight = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(3, 2), "w")
    made = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [weight],
    )
    stock = tiny_checkpoint(task="feature-extraction")
    model = helper.make_model(made)
    return OnnxModel(model, stock.config, stock.tokenizer, stock.task, (STEP,), stock.side_files)


def contents(folder: Path) -> dict[str, bytes]:
    """Returns all files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@contextmanager
def files_limited_to(size_bytes: int) -> Iterator[None]:
    """Lets no file grow further: the nearest thing to a full disk that a test can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_checkpoint_comes_back(tiny_checkpoint: Make, tmp_path: Path) -> None:
    artifact = replace(tiny_checkpoint(task="feature-extraction"), history=(STEP,))

    folder = save(artifact, tmp_path / "deep" / "out")
    again = load(folder)

    assert isinstance(again, Checkpoint)
    assert (again.task, again.history) == ("feature-extraction", (STEP,))
    assert again.side_files == artifact.side_files
    weights = again.model.state_dict()
    assert all(weights[name].equal(w) for name, w in artifact.model.state_dict().items())
    assert again.tokenizer.get_vocab() == artifact.tokenizer.get_vocab()
    assert again.size_bytes == artifact.size_bytes == 4 * artifact.parameters


def test_a_graph_comes_back(graph: OnnxModel, tmp_path: Path) -> None:
    again = load(save(graph, tmp_path / "out"))

    assert isinstance(again, OnnxModel)
    assert again.graph.SerializeToString() == graph.graph.SerializeToString()
    assert (again.task, again.history) == (graph.task, graph.history)
    assert again.side_files == graph.side_files
    assert again.parameters is None
    assert again.size_bytes == (tmp_path / "out" / "onnx" / "model.onnx").stat().st_size


def test_the_manifest_says_what_is_there(graph: OnnxModel, tmp_path: Path) -> None:
    folder = save(graph, tmp_path / "out")

    manifest = read_manifest(folder)

    assert manifest is not None
    assert (manifest.kind, manifest.task) == ("onnx", "feature-extraction")
    assert set(manifest.files) == set(contents(folder)) - {"bertcompress.json"}
    verify(folder, manifest)
    assert kind_of(folder) == "onnx"
    assert artifact_bytes(folder) == (folder / "onnx" / "model.onnx").stat().st_size


def test_the_checkpoints_bytes_are_its_weights(tiny_checkpoint: Make, tmp_path: Path) -> None:
    folder = save(tiny_checkpoint(), tmp_path / "out")

    assert kind_of(folder) == "checkpoint"
    assert artifact_bytes(folder) == (folder / "model.safetensors").stat().st_size


def test_nothing_is_changed_by_saving(tiny_checkpoint: Make, tmp_path: Path) -> None:
    artifact = tiny_checkpoint()
    config = copy.deepcopy(artifact.config.to_dict())
    artifact.tokenizer(["good film", "bad"], padding=True, truncation=True, max_length=8)
    padding = artifact.tokenizer.backend_tokenizer.padding

    save(artifact, tmp_path / "out")

    assert artifact.config.to_dict() == config
    assert artifact.tokenizer.backend_tokenizer.padding == padding


def test_the_same_artifact_is_the_same_bytes(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """Wherever it was loaded from, online or not, and however its tokenizer was called."""
    first, second = load(tiny_folder()), load(save(load(tiny_folder()), tmp_path / "other"))
    first.tokenizer.init_kwargs.update(local_files_only=False)
    second.tokenizer.init_kwargs.update(local_files_only=True)
    first.tokenizer(["good film", "bad"], padding=True, truncation=True, max_length=8)

    one, other = (contents(save(a, tmp_path / n)) for a, n in ((first, "one"), (second, "two")))

    assert one == other
    folder = str(tiny_folder()).encode()
    assert not [name for name, content in one.items() if folder in content]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("before", [False, True])
def test_an_end_in_the_middle_leaves_all_as_it_was(
    error: type[BaseException],
    before: bool,
    tiny_checkpoint: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "out"
    if before:
        save(tiny_checkpoint(), target)
    old = contents(target)

    def ended(_: object) -> str:
        raise error

    monkeypatch.setattr("bertcompress.artifacts.artifact.model_card", ended)  # after the weights
    with pytest.raises(error):
        save(tiny_checkpoint(task="token-classification"), target, overwrite=True)

    assert contents(target) == old
    assert [path.name for path in tmp_path.iterdir()] == (["out"] if before else [])


@pytest.mark.parametrize("size_bytes", [1_000, 50_000])  # in the tokenizer, in the weights
def test_a_real_full_disk_is_one_sentence(
    size_bytes: int, tiny_checkpoint: Make, tmp_path: Path
) -> None:
    artifact = tiny_checkpoint()
    target = save(artifact, tmp_path / "out")
    old = contents(target)

    with files_limited_to(size_bytes), pytest.raises(PassError) as caught:
        save(artifact, target, overwrite=True)

    message = str(caught.value)
    assert message.startswith(f"could not write {target}: ")
    assert "File too large" in message
    assert message.endswith("; nothing was kept")
    assert contents(target) == old
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_under_a_graph_is_one_sentence(
    graph: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("onnx.save_model", full)
    with pytest.raises(PassError, match=r"No space left on device; nothing was kept$"):
        save(graph, tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


def test_an_artifact_replaces_another_only_if_asked(
    graph: OnnxModel, tiny_checkpoint: Make, tmp_path: Path
) -> None:
    target = save(tiny_checkpoint(), tmp_path / "out")

    with pytest.raises(UsageError, match="add --overwrite"):
        save(graph, target)
    save(graph, target, overwrite=True)

    assert kind_of(target) == "onnx"
    assert not (target / "model.safetensors").exists()


def test_a_foreign_folder_is_refused(tiny_checkpoint: Make, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(UsageError, match="did not write; give another folder with -o"):
        save(tiny_checkpoint(), tmp_path, overwrite=True)

    assert contents(tmp_path) == {"thesis.txt": b"years of work"}


def test_saving_is_quiet(
    tiny_checkpoint: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    artifact = tiny_checkpoint()
    capfd.readouterr()

    save(artifact, tmp_path / "out")

    assert capfd.readouterr() == ("", "")


def test_versions_of_what_is_not_installed_are_left_out() -> None:
    assert list(library_versions("numpy", "no-such-library")) == ["numpy"]


def test_the_model_card_is_of_the_artifacts_kind(graph: OnnxModel, tiny_checkpoint: Make) -> None:
    card = model_card(replace(tiny_checkpoint(), history=(STEP,)))

    assert "| PruneHeads | fraction 0.3, scope global | 4.0 MB | 3.2 MB |" in card
    assert "trust_remote_code=True" in card
    assert "onnx/model.onnx" in model_card(graph)
    assert "tags: [bertcompress, onnx]" in model_card(graph)


def test_the_readme_in_the_folder_is_the_card(tiny_checkpoint: Make, tmp_path: Path) -> None:
    artifact = tiny_checkpoint()

    folder = save(artifact, tmp_path / "out")

    assert (folder / "README.md").read_text() == model_card(artifact)
    raw = json.loads((folder / "bertcompress.json").read_text())
    assert raw["format"] == 2


def test_a_tokenizer_without_a_class_of_its_own_loads_in_transformers_4_too(
    tokenizer: PreTrainedTokenizerFast, tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    folder = save(replace(tiny_checkpoint(), tokenizer=tokenizer), tmp_path / "a")

    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    again = load(folder)
    assert again.tokenizer("good film")["input_ids"] == tokenizer("good film")["input_ids"]
    assert "token_type_ids" in again.tokenizer("good film")
