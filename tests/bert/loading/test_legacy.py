"""Checkpoints whose heads Transformers 4 pruned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.bert.loading.load import load
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import cut
from bertcompress.errors import LoadError

Folder = Callable[..., Path]


@pytest.fixture
def legacy(tiny_folder: Folder, tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path) -> Path:
    """Writes what version 4 wrote after ``prune_heads({0: [1, 3], 1: [0]})``."""
    folder = tmp_path / "legacy"
    shutil.copytree(tiny_folder(), folder)
    smaller = cut(tiny_checkpoint().model, heads=((0, 2), (1, 2, 3)))
    save_file(dict(smaller.state_dict()), folder / "model.safetensors", {"format": "pt"})
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["pruned_heads"] = {"0": [1, 3], "1": [0]}
    path.write_text(json.dumps(config), encoding="utf-8")
    return folder


def answer(checkpoint: Checkpoint) -> torch.Tensor:
    ids = torch.arange(5, 21).reshape(2, 8)
    with torch.no_grad():
        found: torch.Tensor = checkpoint.model(ids).logits
    return found


def test_it_loads_with_the_heads_that_are_left(
    legacy: Path, tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    loaded = load(legacy)

    assert isinstance(loaded, Checkpoint)
    assert shape_of(loaded.model).layer_heads == (2, 3)
    expected = tiny_checkpoint()
    cut_here = Checkpoint(
        cut(expected.model, heads=((0, 2), (1, 2, 3))), expected.tokenizer, expected.task
    )
    assert torch.equal(answer(loaded), answer(cut_here))
    again = load(save(loaded, tmp_path / "converted"))
    assert isinstance(again, Checkpoint)
    assert torch.equal(answer(again), answer(cut_here))
    config = json.loads((tmp_path / "converted/config.json").read_text(encoding="utf-8"))
    assert not config.get("pruned_heads")
    assert config["layer_heads"] == [2, 3]


@pytest.mark.parametrize("wrong", [{"7": [0]}, {"0": [9]}, {"0": 3}, [1, 2], {"0": ["x"]}])
def test_numbers_that_do_not_fit_are_one_sentence(legacy: Path, wrong: object) -> None:
    path = legacy / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "pruned_heads": wrong}), encoding="utf-8")

    with pytest.raises(LoadError):
        load(legacy)
