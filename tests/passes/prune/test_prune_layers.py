"""Pruning layers: the one that is missed least leaves, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.bert.structure import shape_of
from bertcompress.codec import from_plain
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune_layers import LayersDetails, PruneLayers

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]

TASKS = (
    "text-classification",
    "token-classification",
    "question-answering",
    "feature-extraction",
)


def weights_equal(first: Checkpoint, second: Checkpoint) -> bool:
    a, b = first.model.state_dict(), second.model.state_dict()
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


@pytest.mark.parametrize("task", TASKS)
def test_a_layer_leaves_in_every_task(
    task: str, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    result = PruneLayers(1)(tiny_checkpoint(task=task), Context(examples(task=task)))

    assert shape_of(result.model).layers == 1


def test_nothing_to_do_gives_the_same_weights(tiny_checkpoint: Checkpoints) -> None:
    checkpoint = tiny_checkpoint()
    result = PruneLayers(0)(checkpoint)

    assert weights_equal(checkpoint, result)
    assert type(result.model).__name__ == "BertForSequenceClassification"


def test_twice_the_same_and_the_input_is_left_alone(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    checkpoint, untouched = tiny_checkpoint(), tiny_checkpoint()

    first, second = (PruneLayers(1)(checkpoint, Context(examples())) for _ in range(2))

    assert weights_equal(first, second)
    assert weights_equal(checkpoint, untouched)


def test_saved_loaded_and_exported_it_answers_the_same(
    tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    result = PruneLayers(1)(tiny_checkpoint(), Context(examples()))
    save(result, tmp_path / "out")
    again = load(tmp_path / "out")
    assert isinstance(again, Checkpoint)

    assert weights_equal(result, again)
    assert isinstance(ExportOnnx()(again), OnnxModel)  # which checks parity itself


def test_the_layer_that_does_nothing_is_the_one_removed(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    checkpoint = tiny_checkpoint()
    layer = checkpoint.model.base_model.encoder.layer[0]
    with torch.no_grad():  # a layer whose sub-layers add nothing still normalises, and no more
        for dense in (layer.attention.output.dense, layer.output.dense):
            dense.weight.zero_()
            dense.bias.zero_()
        for norm in (layer.attention.output.LayerNorm, layer.output.LayerNorm):
            norm.weight.fill_(1.0)
            norm.bias.zero_()
        before = checkpoint.model.base_model.embeddings.LayerNorm
        before.weight.fill_(1.0)
        before.bias.zero_()

    result = PruneLayers(1)(checkpoint, Context(examples()))

    details = from_plain(LayersDetails, result.history[-1].details)
    [removed] = details.removed_layers
    assert (removed.order, removed.layer, details.layers_after) == (1, 0, 1)
    assert removed.output_change < 1e-6


def test_progress_is_told(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    told: list[tuple[str, int, int]] = []
    context = Context(examples(), progress=lambda *stage: told.append(stage))
    PruneLayers(1)(tiny_checkpoint(), context)
    assert told == [("layers", 1, 2), ("layers", 2, 2)]


def test_a_graph_is_refused(tiny_graph: Callable[..., OnnxModel], examples: Examples) -> None:
    with pytest.raises(PassError, match="prune and fine-tune before export"):
        PruneLayers(1)(tiny_graph(), Context(examples()))


def test_what_can_not_be_meant_is_refused(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    with pytest.raises(UsageError, match="number of layers to remove"):
        PruneLayers(-1)
    with pytest.raises(UsageError, match="measured on data and none was given"):
        PruneLayers(1)(tiny_checkpoint())
    with pytest.raises(UsageError, match="must be below the model's 2, got 2"):
        PruneLayers(2)(tiny_checkpoint(), Context(examples()))
