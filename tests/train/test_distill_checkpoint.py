"""Recovery by distillation: its teacher, and that it brings the answers back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.bert.answers import agreement
from bertcompress.bert.surgery import cut
from bertcompress.codec import from_plain
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example, TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.prune.prune_vocabulary import PruneVocabulary
from bertcompress.passes.samples import batches_for
from bertcompress.train.distill_checkpoint import Recover
from bertcompress.train.losses import distillation_loss
from bertcompress.train.trainer import TrainingDetails

pytest.importorskip("accelerate")

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")


def batch_of(checkpoint: Checkpoint, examples: tuple[Example, ...]) -> dict[str, torch.Tensor]:
    [batch] = batches_for(checkpoint, examples, samples=8, batch_size=8, max_length=None, seed=0)
    return dict(batch.inputs)


def loss_of(teacher: Checkpoint, student: Checkpoint, examples: tuple[Example, ...]) -> float:
    batch = batch_of(teacher, examples)
    return float(distillation_loss(teacher.model, student.model, batch).detach())


def pruned(checkpoint: Checkpoint) -> Checkpoint:
    model = cut(checkpoint.model, heads=((0, 1), (2,)), ffn=(tuple(range(24)), tuple(range(24))))
    return Checkpoint(model, checkpoint.tokenizer, checkpoint.task)


@pytest.mark.parametrize("task", TASKS)
def test_training_brings_the_answers_back_without_labels(
    task: str, tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    teacher = tiny_checkpoint(task=task)
    folder = save(teacher, tmp_path / "teacher")
    student, texts = pruned(teacher), examples(task=task, count=40)
    recover = Recover(str(folder), epochs=6, batch_size=8, learning_rate=3e-3)

    result = recover(student, Context(texts))

    assert loss_of(teacher, result, texts) < 0.7 * loss_of(teacher, student, texts)
    assert len(from_plain(TrainingDetails, result.history[-1].details).epochs) == 6
    batches = batches_for(teacher, texts, samples=40, batch_size=8, max_length=None, seed=0)
    before, after = (agreement(teacher.model, it.model, batches) for it in (student, result))
    assert after >= before


def test_labels_make_no_difference(
    tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    folder = save(tiny_checkpoint(), tmp_path / "teacher")
    bare = tuple(
        TextExample(one.id, one.text) for one in examples() if isinstance(one, TextExample)
    )
    marked = tuple(TextExample(one.id, one.text, label="positive") for one in bare)

    first, second = (
        Recover(str(folder), epochs=1, batch_size=8)(pruned(tiny_checkpoint()), Context(texts))
        for texts in (bare, marked)
    )

    a, b = first.model.state_dict(), second.model.state_dict()
    assert all(a[name].equal(b[name]) for name in a)


def test_a_teacher_that_does_not_fit_is_one_sentence(
    tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    checkpoint, texts = tiny_checkpoint(), Context(examples())
    shorter = Checkpoint(cut(checkpoint.model, layers=[0]), checkpoint.tokenizer, checkpoint.task)
    graph = save(ExportOnnx()(checkpoint), tmp_path / "graph")

    with pytest.raises(PassError, match="has 2 layers of 32, the model 1 of 32"):
        Recover(str(save(checkpoint, tmp_path / "teacher")))(shorter, texts)
    fewer = PruneVocabulary()(checkpoint, texts)
    with pytest.raises(PassError, match="train first, then make the vocabulary smaller"):
        Recover(str(tmp_path / "teacher"))(fewer, texts)
    with pytest.raises(PassError, match="is a graph; give the checkpoint"):
        Recover(str(graph))(checkpoint, texts)


def test_the_run_s_original_is_the_teacher_where_none_is_named(
    tiny_checkpoint: Checkpoints, examples: Examples, tmp_path: Path
) -> None:
    folder = str(save(tiny_checkpoint(), tmp_path / "teacher"))
    student, texts = pruned(tiny_checkpoint()), Context(examples())

    named = Recover(folder, epochs=1, batch_size=8)(student, texts)
    known = Recover(epochs=1, batch_size=8)(student, texts.changed(original=tiny_checkpoint))

    a, b = named.model.state_dict(), known.model.state_dict()
    assert all(a[name].equal(b[name]) for name in a)
    with pytest.raises(UsageError, match="name its folder"):
        Recover()(student, texts)


def test_what_can_not_be_meant_is_refused(tiny_checkpoint: Checkpoints) -> None:
    with pytest.raises(UsageError, match="epochs must be above 0, got 0"):
        Recover("teacher", epochs=0)
    with pytest.raises(UsageError, match="none were given; add --data"):
        Recover("teacher")(tiny_checkpoint())
    with pytest.raises(UsageError, match="hidden must be 0 or more"):
        Recover("teacher", hidden=-1)
