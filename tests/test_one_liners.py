"""prune_model and quantize_model: thin, and as careful as the passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.bert.structure import shape_of
from bertcompress.errors import UsageError
from bertcompress.examples import Dataset, TextExample
from bertcompress.one_liners import prune_model, quantize_model

Checkpoints = Callable[..., Checkpoint]


def test_heads_and_neurons_leave(tiny_checkpoint: Checkpoints) -> None:
    heads = prune_model(tiny_checkpoint(), target="head", threshold=0.5)
    ffn = prune_model(tiny_checkpoint(), target="ffn", threshold=0.5)
    assert sum(shape_of(heads.model).layer_heads) == 4
    assert sum(shape_of(ffn.model).layer_ffn) == 64


def test_data_decides_where_it_is_given(tiny_checkpoint: Checkpoints) -> None:
    data = Dataset((TextExample("0", "a good film", label="positive"),), "here", "train")
    pruned = prune_model(tiny_checkpoint(), threshold=0.5, data=data)
    assert pruned.history[-1].details["notes"] == ["importance: fisher over 1 samples"]


@pytest.mark.parametrize(("bits", "name"), [(8, "QuantizeDynamic"), (4, "QuantizeWeights")])
def test_a_checkpoint_is_exported_first(bits: int, name: str, tiny_checkpoint: Checkpoints) -> None:
    result = quantize_model(tiny_checkpoint(), num_bits=bits)
    assert [step.name for step in result.history] == ["ExportOnnx", name]


def test_a_graph_is_taken_as_it_is(tiny_graph: Callable[..., OnnxModel]) -> None:
    assert len(quantize_model(tiny_graph()).history) == 2


def test_bad_settings(tiny_checkpoint: Checkpoints) -> None:
    with pytest.raises(UsageError, match="num_bits must be 8 or 4, got 7"):
        quantize_model(tiny_checkpoint(), num_bits=7)
    with pytest.raises(UsageError, match="did you mean 'head'"):
        prune_model(tiny_checkpoint(), target="heads", threshold=0.3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"did you mean 0\.30"):
        prune_model(tiny_checkpoint(), threshold=30)
