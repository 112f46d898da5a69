"""Fine-tuning: it learns, repeats itself, resumes, and refuses what it can't learn from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.codec import from_plain
from bertcompress.errors import DataError, UsageError
from bertcompress.examples import Example, TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.samples import batches_for
from bertcompress.train.finetune import Finetune
from bertcompress.train.trainer import TrainingDetails

Checkpoints = Callable[..., Checkpoint]
Examples = Callable[..., tuple[Example, ...]]


def labelled(count: int) -> tuple[TextExample, ...]:
    """Good films are positive: learnable from one word."""
    return tuple(
        TextExample(
            str(at),
            f"the film is {'good' if at % 2 else 'bad'}",
            label="positive" if at % 2 else "negative",
        )
        for at in range(count)
    )


def loss_of(checkpoint: Checkpoint, examples: tuple[Example, ...]) -> float:
    (batch,) = batches_for(checkpoint, examples, samples=64, batch_size=64, max_length=None, seed=0)
    with torch.no_grad():
        return float(checkpoint.model(**batch.inputs, **batch.targets).loss)


def test_it_learns_and_leaves_its_input_alone(tiny_checkpoint: Checkpoints) -> None:
    checkpoint, data = tiny_checkpoint(), labelled(32)
    before = loss_of(checkpoint, data)

    said: list[str] = []

    trained = Finetune(epochs=6, learning_rate=5e-3, batch_size=8)(
        checkpoint, Context(train=data, validation=data, note=said.append)
    )

    assert loss_of(trained, data) < 0.5 * before
    assert loss_of(checkpoint, data) == before
    assert not trained.model.training
    details = from_plain(TrainingDetails, trained.history[-1].details)
    assert len(details.epochs) == 6
    assert [line.partition(":")[0] for line in said] == [f"epoch {at} of 6" for at in range(1, 7)]
    assert said[-1].endswith(f"loss {details.epochs[-1].validation_loss:.3f}, 100.0% right")


@pytest.mark.parametrize("task", ["token-classification", "question-answering"])
def test_other_tasks_train_too(task: str, tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    data = examples(task=task)
    checkpoint = tiny_checkpoint(task=task)
    trained = Finetune(epochs=3, learning_rate=2e-3)(checkpoint, Context(train=data))
    assert loss_of(trained, data) < loss_of(checkpoint, data)


def test_twice_the_same_weights(tiny_checkpoint: Checkpoints) -> None:
    finetune, context = Finetune(epochs=1, learning_rate=1e-3), Context(train=labelled(16))
    first, second = (finetune(tiny_checkpoint(), context) for _ in range(2))
    for name, value in first.model.state_dict().items():
        assert value.equal(second.model.state_dict()[name])


@pytest.mark.slow
def test_it_goes_on_after_an_interruption(tiny_checkpoint: Checkpoints, tmp_path: Path) -> None:
    context = Context(train=labelled(32), state=tmp_path / "state")
    finetune = Finetune(epochs=3, learning_rate=1e-3)

    def interrupt(stage: str, done: int, total: int) -> None:
        if done > total * 2 // 3:
            raise KeyboardInterrupt

    steps: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        finetune(tiny_checkpoint(), context.changed(progress=interrupt))
    counted = context.changed(progress=lambda stage, done, total: steps.append(done))
    resumed = finetune(tiny_checkpoint(), counted)

    assert min(steps) > 2  # of 6: the first epochs were not run again
    assert resumed.history[-1].name == "Finetune"


def test_a_text_without_label_is_refused(tiny_checkpoint: Checkpoints) -> None:
    data = (*labelled(3), TextExample("file.csv:9", "no label here"))
    with pytest.raises(DataError, match=r"file\.csv:9 has no label"):
        Finetune()(tiny_checkpoint(), Context(train=data))


def test_a_length_that_can_not_be_meant() -> None:
    with pytest.raises(UsageError, match="max_length must be 3 or more"):
        Finetune(max_length=2)


def test_no_examples(tiny_checkpoint: Checkpoints, examples: Examples) -> None:
    with pytest.raises(UsageError, match="needs examples and none were given"):
        Finetune()(tiny_checkpoint(), Context(examples()))
