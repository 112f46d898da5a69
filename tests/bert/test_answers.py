"""How alike two models answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.answers import agreement
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.surgery import cut

TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")


def batch() -> Batch:
    ids = torch.randint(5, 60, (16, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[:4, 6:] = 0
    inputs = {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": ids * 0}
    return Batch(inputs, {})


@pytest.mark.parametrize("task", TASKS)
def test_a_model_agrees_with_itself_and_less_with_another(
    task: str, tiny_checkpoint: Callable[..., Checkpoint]
) -> None:
    model = tiny_checkpoint(task=task).model
    other = cut(model, heads=((), ()), ffn=((), ()))

    assert agreement(model, cut(model), [batch()]) == pytest.approx(1.0)
    assert 0.0 <= agreement(model, other, [batch()]) < 1.0


def test_opposite_classes_never_agree(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    model, other = tiny_checkpoint().model, tiny_checkpoint().model
    with torch.no_grad():
        other.classifier.weight.mul_(-1)
        other.classifier.bias.mul_(-1)

    assert agreement(model, other, [batch()]) == 0.0


def test_labels_that_hold_are_compared_one_by_one(
    tiny_checkpoint: Callable[..., Checkpoint],
) -> None:
    model, other = tiny_checkpoint().model, tiny_checkpoint().model
    model.config.problem_type = "multi_label_classification"
    with torch.no_grad():
        for one, sign in ((model, 1.0), (other, -1.0)):
            one.classifier.weight.zero_()
            one.classifier.bias.copy_(torch.tensor([1.0, sign]))

    assert agreement(model, other, [batch()]) == 0.5


def test_no_texts_is_no_difference(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    model = tiny_checkpoint().model

    assert agreement(model, model, []) == 1.0
