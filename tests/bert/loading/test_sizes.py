"""A configuration that asks for far more than the weights hold is refused before work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertcompress.bert.loading.load import load
from fixtures.loading import refusal


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("vocab_size", 2**31 - 1),
        ("max_position_embeddings", 10**9),
        ("type_vocab_size", 10**9),
        ("num_hidden_layers", 9_999),
        ("intermediate_size", 10**9),
    ],
)
def test_far_too_much_is_refused_before_anything_is_built(
    copy_of: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    asked: int,
    pickled: bool,
) -> None:
    folder = copy_of(**{field: asked})
    if pickled:
        _as_pickle(folder)

    def built(*_: object, **__: object) -> None:
        raise AssertionError("the model was built")

    monkeypatch.setattr("transformers.AutoModelForSequenceClassification.from_pretrained", built)
    message = refusal(lambda: load(folder))

    assert "do not fit its config.json" in message
    assert f"{asked:,} for {field}" in message


def test_wide_heads_of_a_pruned_model(copy_of: Callable[..., Path]) -> None:
    folder = copy_of(
        model_type="pruned_bert",
        architectures=["PrunedBertForSequenceClassification"],
        layer_heads=[4, 2**31 - 1],
        layer_ffn=[64, 64],
        head_size=8,
    )

    assert "for the width of the heads in layer 1" in refusal(lambda: load(folder))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"
        ),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_little_memory_is_told_as_memory(
    copy_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("transformers.AutoModelForSequenceClassification.from_pretrained", full)
    folder = copy_of()

    message = refusal(lambda: load(folder))

    assert message.startswith(f"there is not enough memory to load {folder}; close other programs")
    assert "damaged" not in message


def _as_pickle(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    loaded: dict[str, Any] = load_file(folder / "model.safetensors")
    torch.save(loaded, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
