"""Pruning heads and neurons by a score: what leaves, what stays, what is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.bert.structure import shape_of
from bertcompress.codec import from_plain
from bertcompress.errors import DataError, PassError, UsageError
from bertcompress.examples import Example, TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune_units import (
    FfnDetails,
    HeadsDetails,
    PruneFfn,
    PruneHeads,
    PruneUnits,
)

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]

TASKS = (
    "text-classification",
    "token-classification",
    "question-answering",
    "feature-extraction",
)
PASSES: tuple[PruneUnits, ...] = (PruneHeads(0.4), PruneFfn(0.5, multiple=8))
NOTHING: tuple[PruneUnits, ...] = (PruneHeads(0.0), PruneFfn(0.0))


def weights_equal(first: Checkpoint, second: Checkpoint) -> bool:
    a, b = first.model.state_dict(), second.model.state_dict()
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


@pytest.mark.parametrize("task", TASKS)
def test_parts_leave_in_every_task(
    task: str, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    checkpoint, context = tiny_checkpoint(task=task), Context(examples(task=task))

    heads, ffn = (prune(checkpoint, context) for prune in PASSES)

    assert sum(shape_of(heads.model).layer_heads) == 5  # 8 - round(3.2)
    assert sum(shape_of(ffn.model).layer_ffn) == 64
    assert all(width % 8 == 0 for width in shape_of(ffn.model).layer_ffn)


@pytest.mark.parametrize("prune", NOTHING)
def test_nothing_to_do_gives_the_same_weights(
    prune: PruneUnits, tiny_checkpoint: Checkpoints
) -> None:
    checkpoint = tiny_checkpoint()
    result = prune(checkpoint)

    assert weights_equal(checkpoint, result)
    assert type(result.model).__name__ == "BertForSequenceClassification"


@pytest.mark.parametrize("prune", PASSES)
def test_twice_the_same_and_the_input_is_left_alone(
    prune: PruneUnits, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    checkpoint, untouched = tiny_checkpoint(), tiny_checkpoint()

    first, second = (prune(checkpoint, Context(examples())) for _ in range(2))

    assert weights_equal(first, second)
    assert weights_equal(checkpoint, untouched)


@pytest.mark.slow
@pytest.mark.parametrize("prune", PASSES)
def test_saved_loaded_and_exported_it_answers_the_same(
    prune: PruneUnits, tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    result = prune(tiny_checkpoint(), Context(examples()))
    save(result, tmp_path / "out")
    again = load(tmp_path / "out")
    assert isinstance(again, Checkpoint)

    assert weights_equal(result, again)
    assert isinstance(ExportOnnx()(again), OnnxModel)  # which checks parity itself


def test_the_table_says_what_was_removed(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = PruneHeads(0.4)(tiny_checkpoint(), Context(examples()))

    details = from_plain(HeadsDetails, result.history[-1].details)
    assert details.removed == "3 of 8 heads"
    assert sum(row.heads_before - row.heads_after for row in details.layers) == 3
    removed = [row.removed_heads for row in details.layers if row.removed_heads]
    assert sum(len(heads.split(", ")) for heads in removed) == 3
    assert details.notes == ("importance: fisher over 19 samples",)


def test_without_data_the_weights_decide_and_it_is_said(tiny_checkpoint: Checkpoints) -> None:
    result = PruneFfn(0.5, multiple=8)(tiny_checkpoint())
    details = from_plain(FfnDetails, result.history[-1].details)
    assert details.notes == ("importance: magnitude of the weights, no data",)


def test_only_scores_from_data_need_examples() -> None:
    needs = [PruneHeads(0.3, score).needs for score in (None, "obs", "magnitude", "random")]
    assert needs == [("examples",), ("examples",), (), ()]


def test_unlabelled_texts_are_enough(tiny_checkpoint: Checkpoints) -> None:
    texts = tuple(TextExample(str(at), text) for at, text in enumerate(("a film", "not bad")))
    result = PruneHeads(0.4)(tiny_checkpoint(), Context(texts))
    assert sum(shape_of(result.model).layer_heads) == 5


def test_layer_scope_takes_the_same_part_of_each(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    result = PruneHeads(0.5, scope="layer")(tiny_checkpoint(), Context(examples()))
    assert shape_of(result.model).layer_heads == (2, 2)


def test_every_layer_keeps_a_head_unless_told_otherwise(tiny_checkpoint: Checkpoints) -> None:
    kept = PruneHeads(0.9)(tiny_checkpoint())
    emptied = PruneHeads(0.9, allow_empty_layers=True)(tiny_checkpoint())
    assert min(shape_of(kept.model).layer_heads) == 1
    assert min(shape_of(emptied.model).layer_heads) == 0


def test_labels_that_the_model_does_not_know_are_an_error(tiny_checkpoint: Checkpoints) -> None:
    wrong = Context([TextExample("0", "a film", label="great")])
    with pytest.raises(DataError, match="great"):
        PruneHeads(0.3)(tiny_checkpoint(), wrong)


@pytest.mark.parametrize("prune", PASSES)
def test_a_graph_is_refused(prune: PruneUnits, tiny_graph: Callable[..., OnnxModel]) -> None:
    with pytest.raises(PassError, match="prune and fine-tune before export"):
        prune(tiny_graph())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: PruneHeads(30), r"heads must be in \[0, 1\), got 30; did you mean 0.30\?"),
        (lambda: PruneHeads(1.0), "would remove all"),
        (lambda: PruneFfn(-0.1), "ffn must be in"),
        (lambda: PruneHeads(0.3, scope="glob"), "did you mean 'global'"),  # type: ignore[arg-type]
        (lambda: PruneFfn(0.3, score="fishr"), "did you mean 'fisher'"),  # type: ignore[arg-type]
        (lambda: PruneFfn(0.3, multiple=0), "multiple must be 1 or more"),
    ],
)
def test_bad_settings(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make()


def test_a_score_from_data_without_data(tiny_checkpoint: Checkpoints) -> None:
    with pytest.raises(UsageError, match="measured on data and none was given"):
        PruneHeads(0.3, score="fisher")(tiny_checkpoint())
