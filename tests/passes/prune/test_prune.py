"""The pass that prunes in one shot: what stays, that it is re-fitted, and what it tells."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.bert.structure import shape_of
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example, TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune import Prune
from bertcompress.passes.samples import batches_for

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")
SMALL = {"batch_size": 4, "multiple": 8}


def without_labels(examples: tuple[Example, ...]) -> tuple[Example, ...]:
    return tuple(TextExample(one.id, one.text) for one in examples if isinstance(one, TextExample))


def last_states(checkpoint: Checkpoint, examples: tuple[Example, ...]) -> torch.Tensor:
    found = []
    for batch in batches_for(
        checkpoint, examples, samples=40, batch_size=4, max_length=None, seed=0
    ):
        with torch.no_grad():
            answer = checkpoint.model(**batch.inputs, output_hidden_states=True)
        found.append(answer.hidden_states[-1][batch.inputs["attention_mask"].bool()])
    return torch.cat(found)


@pytest.mark.parametrize("task", TASKS)
def test_units_leave_in_every_task_and_the_folder_loads_again(
    task: str, tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    checkpoint = tiny_checkpoint(task=task)

    result = Prune(heads=0.4, ffn=0.5, **SMALL)(checkpoint, Context(examples(task=task)))

    shape = shape_of(result.model)
    assert sum(shape.layer_heads) == 5  # 8 - round(3.2)
    assert sum(shape.layer_ffn) == 64
    assert all(width % 8 == 0 for width in shape.layer_ffn)
    again = load(save(result, tmp_path / "small"))
    assert isinstance(again, Checkpoint)
    before, after = result.model.state_dict(), again.model.state_dict()
    assert all(before[name].equal(after[name]) for name in before)


def test_labels_are_not_looked_at(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    settings = {"heads": 0.4, "ffn": 0.5, **SMALL}
    labelled = tuple(
        TextExample(one.id, one.text, label="positive")
        for one in without_labels(examples())
        if isinstance(one, TextExample)
    )

    first, second = (
        Prune(**settings)(tiny_checkpoint(), Context(texts))
        for texts in (without_labels(examples()), labelled)
    )

    a, b = first.model.state_dict(), second.model.state_dict()
    assert all(a[name].equal(b[name]) for name in a)


def test_what_is_left_is_re_fitted(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    checkpoint, texts = tiny_checkpoint(), examples(count=40)
    settings = {"heads": 0.5, "ffn": 0.5, **SMALL}

    cut = Prune(refit=False, **settings)(checkpoint, Context(texts))
    fitted = Prune(**settings)(checkpoint, Context(texts))

    assert shape_of(cut.model) == shape_of(fitted.model)
    goal = last_states(checkpoint, texts)
    errors = [float((last_states(it, texts) - goal).square().mean()) for it in (cut, fitted)]
    assert errors[1] < errors[0]


def test_the_input_is_left_alone_and_the_result_repeats(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    checkpoint, untouched = tiny_checkpoint(), tiny_checkpoint()
    prune = Prune(heads=0.4, ffn=0.5, **SMALL)

    first, second = (prune(checkpoint, Context(examples())) for _ in range(2))

    a, b = first.model.state_dict(), second.model.state_dict()
    assert all(a[name].equal(b[name]) for name in a)
    kept, before = checkpoint.model.state_dict(), untouched.model.state_dict()
    assert all(kept[name].equal(before[name]) for name in before)


def test_only_heads_or_only_neurons(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    context = Context(examples())
    heads = shape_of(Prune(heads=0.5, **SMALL)(tiny_checkpoint(), context).model)
    ffn = shape_of(Prune(ffn=0.25, **SMALL)(tiny_checkpoint(), context).model)

    assert (sum(heads.layer_heads), heads.layer_ffn) == (4, (64, 64))
    assert (ffn.layer_heads, sum(ffn.layer_ffn)) == ((4, 4), 96)


def test_a_model_pruned_before_is_pruned_on(
    tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    prune, context = Prune(heads=0.5, ffn=0.5, **SMALL), Context(examples())

    twice = prune(prune(tiny_checkpoint(), context), context)

    shape = shape_of(twice.model)
    assert sum(shape.layer_heads) == 2
    assert sum(shape.layer_ffn) == 32


@pytest.mark.slow
def test_it_exports_with_unequal_layers(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = Prune(heads=0.6, ffn=0.6, **SMALL)(tiny_checkpoint(), Context(examples()))

    assert isinstance(ExportOnnx()(result), OnnxModel)  # which checks parity itself


def test_what_can_not_be_meant_is_refused(
    tiny_checkpoint: Checkpoints, tiny_graph: Callable[..., OnnxModel], examples: Examples
) -> None:
    with pytest.raises(UsageError, match=r"heads must be in \[0, 1\), got 30; did you mean 0.30"):
        Prune(heads=30)
    with pytest.raises(UsageError, match="must know what to remove"):
        Prune()
    with pytest.raises(UsageError, match="none was given; add --data"):
        Prune(heads=0.3)(tiny_checkpoint())
    with pytest.raises(PassError, match="prune and fine-tune before export"):
        Prune(heads=0.3)(tiny_graph(), Context(examples()))


def test_held_out_answers_are_told(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    result = Prune(ffn=0.25, **SMALL)(tiny_checkpoint(), Context(examples()))

    notes = result.history[-1].details["notes"]
    assert isinstance(notes, list)
    assert re.fullmatch(r"answers as the model before to \d+\.\d% on 1 held-out sample", notes[1])


def test_it_goes_on_from_its_state_and_gives_the_same_bytes(
    tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    prune, context = Prune(heads=0.4, ffn=0.5, **SMALL), Context(examples())
    whole = prune(tiny_checkpoint(), context)
    kept = context.changed(state=tmp_path / "state")

    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("sweep", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune(tiny_checkpoint(), kept.changed(progress=stop))
    told: list[str] = []
    resumed = prune(tiny_checkpoint(), kept.changed(progress=lambda stage, *_: told.append(stage)))

    a, b = whole.model.state_dict(), resumed.model.state_dict()
    assert all(a[name].equal(b[name]) for name in a)
    assert "curvature" not in told
