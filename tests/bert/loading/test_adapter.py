"""Merging a LoRA adapter: its own files go before the base's, and nothing is read twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bertcompress.artifacts.embedding_files import MODULES_NAME
from bertcompress.bert.loading.load import load
from bertcompress.bert.loading.locate import locate
from fixtures.embeddings import MakeFolder, embedding_folder, pooling
from fixtures.loading import checkpoint, refusal

__all__ = ["embedding_folder"]
LAYER = "encoder.layer.0.output.dense"


@pytest.fixture
def adapter(tiny_folder: Callable[..., Path], tmp_path: Path) -> Path:
    """Gives an adapter of one matrix for the tiny encoder."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    setup = {"peft_type": "LORA", "task_type": "FEATURE_EXTRACTION", "r": 1, "lora_alpha": 2}
    setup["base_model_name_or_path"] = str(tiny_folder(task="feature-extraction"))
    (folder / "adapter_config.json").write_text(json.dumps(setup))
    prefix = f"base_model.model.{LAYER}"
    pair = {"lora_A": torch.ones(1, 64), "lora_B": torch.ones(32, 1)}
    weights = {f"{prefix}.{name}.weight": weight for name, weight in pair.items()}
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


def weight_of(folder: Path) -> torch.Tensor:
    return checkpoint(folder).model.get_submodule(LAYER).weight.detach()


def test_the_product_is_added_with_its_scale(
    adapter: Path, tiny_folder: Callable[..., Path]
) -> None:
    right = weight_of(tiny_folder(task="feature-extraction")) + 2.0

    torch.testing.assert_close(weight_of(adapter), right)


def test_pickled_weights_are_read_as_tensors(
    adapter: Path, tiny_folder: Callable[..., Path]
) -> None:
    safe = adapter / "adapter_model.safetensors"
    torch.save(load_file(safe), adapter / "adapter_model.bin")
    safe.unlink()
    right = weight_of(tiny_folder(task="feature-extraction")) + 2.0

    torch.testing.assert_close(weight_of(adapter), right)


def test_both_are_merged_once_until_a_file_changes(adapter: Path) -> None:
    first = locate(adapter)
    assert locate(adapter) == first

    setup = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**setup, "lora_alpha": 4}))

    assert locate(adapter) != first


def test_its_own_pooling_and_tokenizer_go_before_those_of_the_base(
    adapter: Path, embedding_folder: MakeFolder
) -> None:
    own = embedding_folder(pooling("cls"), name="own")
    for path in own.iterdir():
        if path.is_dir():
            shutil.copytree(path, adapter / path.name)
        elif path.name not in ("config.json", "model.safetensors"):
            shutil.copy(path, adapter)
    settings = json.loads((adapter / "tokenizer_config.json").read_text())
    changed = {**settings, "model_max_length": 17}
    (adapter / "tokenizer_config.json").write_text(json.dumps(changed))

    found = load(adapter)

    assert MODULES_NAME in found.side_files
    assert found.tokenizer.model_max_length == 17


def test_an_adapter_for_a_model_of_another_size_is_refused(adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    tensors = load_file(path)
    name = f"base_model.model.{LAYER}.lora_B.weight"
    save_file({**tensors, name: torch.ones(31, 1)}, path)

    assert f"[31, 64] for {LAYER}.weight" in refusal(lambda: load(adapter))


def test_a_weight_that_the_base_has_no_place_for_is_refused(adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    save_file({**load_file(path), "base_model.model.gate.weight": torch.ones(2)}, path)

    assert "holds gate.weight, which its base has no place for" in refusal(lambda: load(adapter))


def test_a_base_that_is_not_there_is_named_with_what_to_write(adapter: Path) -> None:
    setup = json.loads((adapter / "adapter_config.json").read_text())
    base = setup["base_model_name_or_path"]
    setup["base_model_name_or_path"] = "some/where/else"
    (adapter / "adapter_config.json").write_text(json.dumps(setup))
    assert "for some/where/else, which is no model here" in refusal(lambda: load(adapter))

    setup["base_model_name_or_path"] = base  # as the sentence says
    (adapter / "adapter_config.json").write_text(json.dumps(setup))
    assert load(adapter).task == "feature-extraction"
