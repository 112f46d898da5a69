"""A sample's loss is that of Transformers for the sample alone, and draws follow the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch, sample_losses
from bertcompress.bert.pruning.importance import mask_gradients

Inputs = dict[str, torch.Tensor]
LENGTHS = (9, 6, 4)  # of the fixture's sentences
REPEATS = 2000

GOLD: dict[str, tuple[str, str | None, dict[str, torch.Tensor]]] = {
    "one class": ("text-classification", None, {"labels": torch.tensor([0, 1, 1])}),
    "numbers": ("text-classification", "regression", {"labels": torch.tensor([0.5, -1.0, 2.0])}),
    "tags": (
        "token-classification",
        None,
        {
            "labels": torch.tensor(
                [
                    [-100, 0, 1, -100, 2, 0, 0, 1, -100],
                    [-100, 2, 2, 0, 1, -100, -100, -100, -100],
                    [-100, 1, -100, -100, -100, -100, -100, -100, -100],
                ]
            )
        },
    ),
    "spans": (
        "question-answering",
        None,
        {"start_positions": torch.tensor([2, 0, 1]), "end_positions": torch.tensor([5, 0, 3])},
    ),
}


def with_outputs(model: Any, outputs: int) -> Any:
    """Gives a classifier another number of outputs."""
    head = torch.nn.Linear(32, outputs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        torch.nn.init.normal_(head.weight, std=0.3)
    model.classifier = head
    model.num_labels = outputs
    model.config.id2label = {at: str(at) for at in range(outputs)}
    return model


def model_for(tiny_checkpoint: Callable[..., Checkpoint], task: str, problem: str | None) -> Any:
    model: Any = tiny_checkpoint(task=task).model
    model.config.problem_type = problem
    return with_outputs(model, 1) if problem == "regression" else model


def alone(batch: Batch, row: int) -> Batch:
    """Returns one sample without its padding."""
    length = LENGTHS[row]
    targets = {
        name: values[row : row + 1, :length] if values.dim() == 2 else values[row : row + 1]
        for name, values in batch.targets.items()
    }
    return Batch({n: v[row : row + 1, :length] for n, v in batch.inputs.items()}, targets)


@pytest.mark.parametrize("case", GOLD)
def test_gold_losses_are_those_of_transformers_for_each_sample_alone(
    case: str, tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    task, problem, targets = GOLD[case]
    model = model_for(tiny_checkpoint, task, problem)
    batch = Batch(inputs, targets)

    losses = sample_losses(model, batch, torch.Generator()).detach()

    for row in range(3):
        one = alone(batch, row)
        expected = model(**one.inputs, **one.targets).loss.detach()
        if case == "tags":  # Transformers takes the mean of the tags, we their sum
            expected = expected * int((one.targets["labels"] != -100).sum())
        torch.testing.assert_close(losses[row], expected, rtol=1e-5, atol=1e-6)


def test_several_labels_a_sample_are_the_sum_of_binary_losses(
    tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    model = tiny_checkpoint().model
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])

    losses = sample_losses(model, Batch(inputs, {"labels": labels}), torch.Generator()).detach()

    p = model(**inputs).logits.detach().sigmoid()
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).sum(dim=1)
    torch.testing.assert_close(losses, expected)
    assert model.config.problem_type is None  # where Transformers would have written into it


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        ("text-classification", "single_label_classification"),
        ("text-classification", "multi_label_classification"),
        ("text-classification", "regression"),
        ("token-classification", None),
        ("question-answering", None),
        ("feature-extraction", None),
    ],
)
def test_drawn_targets_give_gradients_whose_mean_is_zero(
    task: str, problem: str | None, tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    """The score's mean is zero under a model's own distribution, and only there."""
    model = model_for(tiny_checkpoint, task, problem)
    repeated = {name: values[1:2].repeat(REPEATS, 1) for name, values in inputs.items()}
    generator = torch.Generator().manual_seed(0)

    for gradients in mask_gradients(model, Batch(repeated, {}), generator).values():
        error = gradients.std(axis=0) / REPEATS**0.5
        assert (error > 0).all()
        assert (abs(gradients.mean(axis=0)) < 5 * error).all()


@pytest.mark.parametrize("task", ["token-classification", "question-answering"])
def test_padding_has_no_part_in_a_drawn_loss(
    task: str, tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    model = tiny_checkpoint(task=task).model
    batch = Batch({name: values[2:].repeat(500, 1) for name, values in inputs.items()}, {})

    padded = sample_losses(model, batch, torch.Generator().manual_seed(0)).detach()

    bare = Batch({name: values[:, : LENGTHS[2]] for name, values in batch.inputs.items()}, {})
    drawn = sample_losses(model, bare, torch.Generator().manual_seed(1)).detach()
    error = (padded.var() / 500 + drawn.var() / 500) ** 0.5
    assert error > 0
    assert abs(padded.mean() - drawn.mean()) < 5 * error
