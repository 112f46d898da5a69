"""The loss of distillation: nothing for the teacher itself, and padding does not count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.surgery import cut
from bertcompress.examples import Example
from bertcompress.passes.samples import batches_for
from bertcompress.train.losses import distillation_loss

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")


@pytest.mark.parametrize("task", TASKS)
def test_the_loss_is_zero_for_the_teacher_itself_and_no_padding_counts(
    task: str, tiny_checkpoint: Checkpoints, examples: Examples
) -> None:
    teacher = tiny_checkpoint(task=task)
    student = cut(teacher.model, heads=((0, 1), (2,)), ffn=(tuple(range(24)), tuple(range(24))))
    [drawn] = batches_for(
        teacher, examples(task=task, count=8), samples=8, batch_size=8, max_length=None, seed=0
    )
    batch = dict(drawn.inputs)
    wider = {name: torch.nn.functional.pad(ids, (0, 5)) for name, ids in batch.items()}

    assert float(distillation_loss(teacher.model, teacher.model, batch).detach()) == pytest.approx(
        0, abs=1e-6
    )
    once = float(distillation_loss(teacher.model, student, batch).detach())
    again = float(distillation_loss(teacher.model, student, wider).detach())
    assert once > 1e-4
    assert again == pytest.approx(once, rel=1e-3)
