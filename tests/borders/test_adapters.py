"""An adapter changes what a model answers: it is never passed over, and PEFT's way out works."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bertcompress.bert.loading.frontend import load_config
from bertcompress.bert.loading.load import load, load_encoder
from bertcompress.inference.predictor import Predictor
from fixtures.loading import checkpoint, refusal

QUERY = "bert.encoder.layer.0.attention.self.query"
RANK, ALPHA = 2, 6


HEAD = {"classifier.weight": torch.ones(2, 32), "classifier.bias": torch.ones(2)}


def write_adapter(folder: Path, base: str) -> torch.Tensor:
    """Writes a LoRA adapter of one matrix with its head, as PEFT does; returns what it adds."""
    generator = torch.Generator().manual_seed(5)
    down, up = (torch.randn(size, generator=generator) for size in ((RANK, 32), (32, RANK)))
    setup = {
        **{"peft_type": "LORA", "task_type": "SEQ_CLS", "r": RANK, "lora_alpha": ALPHA},
        **{"base_model_name_or_path": base, "target_modules": ["query"], "bias": "none"},
        **{"layers_to_transform": [0], "inference_mode": True},
    }
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(setup))
    prefix = f"base_model.model.{QUERY}"
    weights = {f"{prefix}.lora_A.weight": down, f"{prefix}.lora_B.weight": up}
    weights |= {f"base_model.model.{name}": weight for name, weight in HEAD.items()}
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return up @ down * (ALPHA / RANK)


def test_an_adapter_beside_weights_is_refused_in_every_way_of_loading(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder(), tmp_path / "model")
    write_adapter(folder, "some/base")
    ways: list[Callable[[], object]] = [
        lambda: load(folder),
        lambda: load_config(folder),
        lambda: load_encoder(folder, task="text-classification", labels=("a", "b")),
        lambda: Predictor.open(folder),
    ]

    for way in ways:
        message = refusal(way)
        assert "holds a LORA adapter beside its weights for some/base" in message
        assert "merge_and_unload" in message


@pytest.mark.parametrize("left", [("adapter_config.json",), ("adapter_model.safetensors",), ()])
def test_an_adapter_alone_is_refused(left: tuple[str, ...], tmp_path: Path) -> None:
    write_adapter(tmp_path / "adapter", "some/base")
    for name in left:
        (tmp_path / "adapter" / name).unlink()

    assert "adapter for" in refusal(lambda: load(tmp_path / "adapter"))


def test_the_way_out_gives_the_sum_of_both(
    tiny_folder: Callable[..., Path], tmp_path: Path
) -> None:
    peft: Any = pytest.importorskip("peft")
    added = write_adapter(tmp_path / "adapter", str(tiny_folder()))

    merged = peft.AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "adapter")
    merged.merge_and_unload().save_pretrained(tmp_path / "merged")
    for file in tiny_folder().glob("tokenizer*"):
        shutil.copy(file, tmp_path / "merged")

    before, after = checkpoint(tiny_folder()).model, checkpoint(tmp_path / "merged").model
    right = before.get_submodule(QUERY).weight + added
    torch.testing.assert_close(after.get_submodule(QUERY).weight, right)
    torch.testing.assert_close(
        after.get_submodule("classifier").weight.data, HEAD["classifier.weight"]
    )
