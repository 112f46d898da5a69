"""Pruning heads, neurons and layers: what leaves, what stays, what is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.bert.structure import shape_of
from bertcompress.errors import DataError, PassError, UsageError
from bertcompress.examples import Example, TextExample
from bertcompress.passes.base import Pass
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune_layers import PruneLayers
from bertcompress.passes.prune.prune_units import PruneFfn, PruneHeads

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]

TASKS = (
    "text-classification",
    "token-classification",
    "question-answering",
    "feature-extraction",
)
NOTHING: tuple[Pass, ...] = (PruneHeads(0.0), PruneFfn(0.0), PruneLayers(0))


def passes(examples: tuple[Example, ...]) -> tuple[Pass, ...]:
    return (
        PruneHeads(0.4, examples),
        PruneFfn(0.5, examples, multiple=8),
        PruneLayers(1, examples),
    )


def weights_equal(first: Checkpoint, second: Checkpoint) -> bool:
    a, b = first.model.state_dict(), second.model.state_dict()
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


@pytest.mark.parametrize("task", TASKS)
def test_parts_leave_in_every_task(
    task: str, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    checkpoint = tiny_checkpoint(task=task)

    heads, ffn, layers = (one(checkpoint) for one in passes(examples(task=task)))

    assert isinstance(heads, Checkpoint)
    assert isinstance(ffn, Checkpoint)
    assert isinstance(layers, Checkpoint)
    assert sum(shape_of(heads.model).layer_heads) == 5  # 8 - round(3.2)
    assert sum(shape_of(ffn.model).layer_ffn) == 64
    assert all(width % 8 == 0 for width in shape_of(ffn.model).layer_ffn)
    assert shape_of(layers.model).layers == 1


@pytest.mark.parametrize("at", range(3))
def test_nothing_to_do_gives_the_same_weights(at: int, tiny_checkpoint: Checkpoints) -> None:
    checkpoint = tiny_checkpoint()
    result = NOTHING[at](checkpoint)

    assert isinstance(result, Checkpoint)
    assert weights_equal(checkpoint, result)
    assert type(result.model).__name__ == "BertForSequenceClassification"


@pytest.mark.parametrize("at", range(3))
def test_twice_the_same_and_the_input_is_left_alone(
    at: int, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    checkpoint, untouched = tiny_checkpoint(), tiny_checkpoint()
    one = passes(examples())[at]

    first, second = one(checkpoint), one(checkpoint)

    assert isinstance(first, Checkpoint)
    assert isinstance(second, Checkpoint)
    assert weights_equal(first, second)
    assert weights_equal(checkpoint, untouched)


@pytest.mark.parametrize("at", range(3))
def test_saved_loaded_and_exported_it_answers_the_same(
    at: int, tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    result = passes(examples())[at](tiny_checkpoint())
    assert isinstance(result, Checkpoint)
    save(result, tmp_path / "out")
    again = load(tmp_path / "out")
    assert isinstance(again, Checkpoint)

    assert weights_equal(result, again)
    assert isinstance(ExportOnnx()(again), OnnxModel)  # fails by itself where parity does


def test_the_table_says_what_was_removed(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = PruneHeads(0.4, examples())(tiny_checkpoint())

    details = result.history[-1].details
    rows = details["layers"]
    assert isinstance(rows, list)
    assert details["removed"] == "3 of 8 heads"
    assert sum(row["heads_before"] - row["heads_after"] for row in rows) == 3
    assert sum(len(row["removed_heads"].split(", ")) for row in rows if row["removed_heads"]) == 3
    assert details["notes"] == ["importance: fisher over 20 samples"]


def test_without_data_the_weights_decide_and_it_is_said(tiny_checkpoint: Checkpoints) -> None:
    result = PruneFfn(0.5, multiple=8)(tiny_checkpoint())
    assert result.history[-1].details["notes"] == ["importance: magnitude of the weights, no data"]


def test_unlabelled_texts_are_enough(tiny_checkpoint: Checkpoints) -> None:
    texts = tuple(TextExample(str(at), text) for at, text in enumerate(("a film", "not bad")))
    result = PruneHeads(0.4, texts)(tiny_checkpoint())
    assert sum(shape_of(result.model).layer_heads) == 5


def test_layer_scope_takes_the_same_part_of_each(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    result = PruneHeads(0.5, examples(), scope="layer")(tiny_checkpoint())
    assert shape_of(result.model).layer_heads == (2, 2)


def test_every_layer_keeps_a_head_unless_told_otherwise(tiny_checkpoint: Checkpoints) -> None:
    kept = PruneHeads(0.9)(tiny_checkpoint())
    emptied = PruneHeads(0.9, allow_empty_layers=True)(tiny_checkpoint())
    assert min(shape_of(kept.model).layer_heads) == 1
    assert min(shape_of(emptied.model).layer_heads) == 0


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

    result = PruneLayers(1, examples())(checkpoint)

    rows = result.history[-1].details["removed_layers"]
    assert isinstance(rows, list)
    assert rows[0]["layer"] == 0
    assert rows[0]["output_change"] < 1e-6


def test_progress_is_told(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    told: list[tuple[str, int, int]] = []
    PruneLayers(1, examples())(tiny_checkpoint(), progress=lambda *one: told.append(one))
    assert told == [("layers", 1, 2), ("layers", 2, 2)]


def test_labels_that_the_model_does_not_know_are_an_error(tiny_checkpoint: Checkpoints) -> None:
    wrong = (TextExample("0", "a film", label="great"),)
    with pytest.raises(DataError, match="great"):
        PruneHeads(0.3, wrong)(tiny_checkpoint())


def test_a_graph_is_refused(tiny_graph: Callable[..., OnnxModel], examples: Examples) -> None:
    for one in passes(examples()):
        with pytest.raises(PassError, match="prune and fine-tune before export"):
            one(tiny_graph())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PruneHeads(30), r"heads must be in \[0, 1\), got 30; did you mean 0.30\?"),
        (lambda: PruneHeads(1.0), "would remove all"),
        (lambda: PruneFfn(-0.1), "ffn must be in"),
        (lambda: PruneHeads(0.3, scope="glob"), "did you mean 'global'"),  # type: ignore[arg-type]
        (lambda: PruneHeads(0.3, score="fisher"), "measured on data and none was given"),
        (lambda: PruneFfn(0.3, score="fishr"), "did you mean 'fisher'"),  # type: ignore[arg-type]
        (lambda: PruneFfn(0.3, multiple=0), "multiple must be 1 or more"),
        (lambda: PruneLayers(-1), "number of layers to remove"),
        (lambda: PruneLayers(1), "measured on data and none was given"),
    ],
)
def test_bad_settings(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make()


def test_more_layers_than_there_are(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    with pytest.raises(UsageError, match="must be below the model's 2, got 2"):
        PruneLayers(2, examples())(tiny_checkpoint())
