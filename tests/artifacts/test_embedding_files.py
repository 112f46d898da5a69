"""The files of a Sentence Transformers folder in one form; the border tests load it there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from bertcompress.artifacts.embedding_files import (
    ModuleEntry,
    makes_vectors,
    read_embedding_files,
    read_modules,
    transformer_folder,
    with_text_limit,
)
from bertcompress.errors import LoadError

PACKAGE = "sentence_transformers.sentence_transformer.modules"


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def folder(place: Path, *modules: tuple[str, str]) -> Path:
    entries = [{"idx": 0, "type": kind, "path": path} for kind, path in modules]
    write(place / "modules.json", entries)
    return place


def fields(files: dict[str, bytes], name: str) -> Any:
    return json.loads(files[name])


def test_a_folder_without_modules_has_none(tmp_path: Path) -> None:
    assert read_embedding_files(tmp_path) == {}
    assert not makes_vectors(tmp_path)


def test_paths_are_taken_from_modules_and_classes_get_their_old_names(tmp_path: Path) -> None:
    root = folder(tmp_path, (f"{PACKAGE}.transformer.Transformer", ""), (f"{PACKAGE}.Pooling", "p"))
    write(root / "p" / "config.json", {"embedding_dimension": 3, "pooling_mode": "max"})
    write(root / "1_Pooling" / "config.json", {"pooling_mode": "cls"})

    files = read_embedding_files(root)

    assert sorted(files) == ["modules.json", "p/config.json"]
    assert [entry["type"] for entry in fields(files, "modules.json")] == [
        "sentence_transformers.models.Transformer",
        "sentence_transformers.models.Pooling",
    ]
    assert makes_vectors(root)


@pytest.mark.parametrize(
    ("given", "mode", "flags"),
    [
        ({"pooling_mode": "cls"}, "cls", ["cls"]),
        ({"pooling_mode_max_tokens": True}, "max", ["max"]),
        ({}, "mean", ["mean"]),
        ({"pooling_mode": ["cls", "mean"]}, None, ["cls", "mean"]),
        ({"pooling_mode": ["mean", "cls"]}, ["mean", "cls"], ["cls", "mean"]),
    ],
)
def test_poolings_are_written_in_both_styles(
    tmp_path: Path, given: dict[str, object], mode: object, flags: list[str]
) -> None:
    root = folder(tmp_path, (f"{PACKAGE}.Pooling", "1_Pooling"))
    write(root / "1_Pooling" / "config.json", {"embedding_dimension": 3, **given})

    config = fields(read_embedding_files(root), "1_Pooling/config.json")

    assert (config["word_embedding_dimension"], config.get("pooling_mode")) == (3, mode)
    true = [name.split("_")[2] for name, value in config.items() if value is True]
    assert sorted(true) == flags


def test_an_old_folder_keeps_its_transformer_apart(tmp_path: Path) -> None:
    root = folder(tmp_path, ("sentence_transformers.models.Transformer", "0_Transformer"))
    write(root / "0_Transformer" / "sentence_roberta_config.json", {"max_seq_length": 9})

    files = read_embedding_files(root / "0_Transformer")

    assert transformer_folder(root) == root / "0_Transformer"
    assert fields(files, "modules.json")[0]["path"] == ""
    assert fields(files, "sentence_bert_config.json") == {"max_seq_length": 9}


def test_pickled_weights_become_safetensors(tmp_path: Path) -> None:
    root = folder(tmp_path, ("sentence_transformers.models.Dense", "2_Dense"))
    (root / "2_Dense").mkdir()
    torch.save({"linear.weight": torch.eye(2)}, root / "2_Dense" / "pytorch_model.bin")

    files = read_embedding_files(root)

    assert load(files["2_Dense/model.safetensors"])["linear.weight"].tolist() == [[1, 0], [0, 1]]


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    root = folder(tmp_path, ("sentence_transformers.models.Dense", "2_Dense"))
    (root / "2_Dense").mkdir()
    torch.save({"x": Path()}, root / "2_Dense" / "pytorch_model.bin")

    with pytest.raises(LoadError, match=r"pytorch_model.bin can't be read as weights alone"):
        read_embedding_files(root)


@pytest.mark.parametrize(
    ("settings", "limit"), [({}, 7), ({"max_seq_length": None}, 7), ({"max_seq_length": 5}, 5)]
)
def test_the_length_is_always_told(settings: dict[str, object], limit: int) -> None:
    files = {"modules.json": b"[]", "sentence_bert_config.json": json.dumps(settings).encode()}

    told = fields(with_text_limit(files, 7), "sentence_bert_config.json")

    assert told["max_seq_length"] == limit
    assert with_text_limit({}, 7) == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "can't be read"),
        ("{}", "must hold a JSON list"),
        ("[3]", "must give each module a type and a path, found 3"),
        ('[{"path": "a"}]', "must give each module a type"),
        ('[{"type": "a", "path": "../b"}]', "not inside the model's folder"),
    ],
)
def test_broken_modules_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(LoadError, match=f"modules.json {sentence}|{sentence}.*restore it"):
        read_modules(text.encode(), "modules.json")


def test_a_pooling_that_nothing_names_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "1_Pooling" / "config.json", {"pooling_mode": "cls"})

    with pytest.raises(LoadError, match=r"a folder 1_Pooling and no modules.json"):
        read_embedding_files(tmp_path)


def test_modules_of_other_packages_keep_their_name() -> None:
    assert ModuleEntry("custom_st.Transformer", "").kind == "custom_st.Transformer"
    assert ModuleEntry("sentence_transformers.models.Dense", "").kind == "Dense"
