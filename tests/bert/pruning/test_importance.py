"""Scores against finite differences, planted units, and a model that stays as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.importance import (
    Importance,
    ScoreName,
    from_data,
    from_weights,
    mask_gradients,
)
from bertcompress.bert.pruning.selection import keep_units
from bertcompress.bert.structure import layers_of
from bertcompress.bert.surgery import cut
from bertcompress.errors import PassError, UsageError

Inputs = dict[str, torch.Tensor]
LENGTHS = (9, 6, 4)
TARGETS: dict[str, dict[str, torch.Tensor]] = {
    "text-classification": {"labels": torch.tensor([0, 1, 1])},
    "question-answering": {
        "start_positions": torch.tensor([2, 0, 1]),
        "end_positions": torch.tensor([5, 3, 3]),
    },
}


def batches(inputs: Inputs, *, labelled: bool = True) -> list[Batch]:
    """Returns the three samples in two batches."""
    gold = TARGETS["text-classification"] if labelled else {}
    return [
        Batch({n: v[rows] for n, v in inputs.items()}, {n: v[rows] for n, v in gold.items()})
        for rows in (slice(0, 2), slice(2, 3))
    ]


def loss_with_scaled_columns(
    model: PreTrainedModel, batch: Batch, row: int, place: tuple[int, str, int], factor: float
) -> float:
    """Returns one sample's own loss with one unit's output columns scaled: no hooks, no pads."""
    layer, kind, unit = place
    found = list(layers_of(model))[layer]
    projection = found.attention_output if kind == "heads" else found.ffn_output
    assert projection is not None
    columns = slice(unit * 8, unit * 8 + 8) if kind == "heads" else slice(unit, unit + 1)
    length = LENGTHS[row]
    whole = projection.weight.data.clone()
    projection.weight.data[:, columns] *= factor
    with torch.no_grad():
        outputs: Any = model(
            **{name: values[row : row + 1, :length] for name, values in batch.inputs.items()},
            **{name: values[row : row + 1] for name, values in batch.targets.items()},
        )
    projection.weight.data.copy_(whole)
    return float(outputs.loss)


@pytest.mark.parametrize("task", TARGETS)
def test_gradients_are_those_of_finite_differences(
    task: str, tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    model = tiny_checkpoint(task=task).model.double()
    batch = Batch(inputs, TARGETS[task])
    step = 1e-5

    found = mask_gradients(model, batch, torch.Generator())

    assert list(found) == [("heads", 0), ("ffn", 0), ("heads", 1), ("ffn", 1)]
    for (kind, layer), gradients in found.items():
        units = range(4) if kind == "heads" else (0, 17, 63)
        for row in range(3):
            for unit in units:
                place = (layer, kind, unit)
                up = loss_with_scaled_columns(model, batch, row, place, 1 + step)
                down = loss_with_scaled_columns(model, batch, row, place, 1 - step)
                expected = (up - down) / (2 * step)
                assert gradients[row, unit] == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_fisher_and_taylor_are_means_over_samples(
    tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    model = tiny_checkpoint().model
    whole = Batch(inputs, TARGETS["text-classification"])
    heads = mask_gradients(model, whole, torch.Generator())["heads", 1]

    fisher = from_data(model, batches(inputs), score="fisher")
    taylor = from_data(model, batches(inputs), score="taylor")

    np.testing.assert_allclose(fisher.heads[1], (heads**2).mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(taylor.heads[1], abs(heads).mean(axis=0), rtol=1e-4)
    assert (fisher.samples, fisher.score) == (3, "fisher")
    assert (taylor.samples, taylor.score) == (3, "taylor")
    assert [values.shape for values in fisher.ffn] == [(64,), (64,)]


def test_magnitude_is_the_norm_of_a_units_columns(
    tiny_checkpoint: Callable[..., Checkpoint],
) -> None:
    model = tiny_checkpoint().model
    state = model.state_dict()

    found = from_weights(model, score="magnitude")

    attention = state["bert.encoder.layer.1.attention.output.dense.weight"]
    neurons = state["bert.encoder.layer.0.output.dense.weight"]
    assert found.heads[1][2] == pytest.approx(float(attention[:, 16:24].norm()), rel=1e-6)
    assert found.ffn[0][5] == pytest.approx(float(neurons[:, 5].norm()), rel=1e-6)
    assert found.samples == 0


def test_random_scores_repeat_with_their_seed(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    model = tiny_checkpoint().model

    first, again, other = (from_weights(model, score="random", seed=seed) for seed in (1, 1, 2))

    assert same(first, again)
    assert not same(first, other)
    assert len(np.unique(np.concatenate([*first.heads, *first.ffn]))) == 2 * (4 + 64)


def test_drawn_targets_repeat_with_their_seed(
    tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    model = tiny_checkpoint(task="token-classification").model
    unlabelled = batches(inputs, labelled=False)

    first, again, other = (from_data(model, unlabelled, seed=seed) for seed in (1, 1, 2))

    assert same(first, again)
    assert not same(first, other)


def same(one: Importance, other: Importance) -> bool:
    pairs = zip((*one.heads, *one.ffn), (*other.heads, *other.ffn), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("score", ["fisher", "taylor", "magnitude"])
def test_a_useless_head_and_neuron_score_nothing_and_go_first(
    score: ScoreName, tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    model = tiny_checkpoint().model
    _, layer = layers_of(model)
    assert layer.attention_output is not None
    assert layer.ffn_output is not None
    layer.attention_output.weight.data[:, 8:16] = 0  # head 1
    layer.ffn_output.weight.data[:, 40] = 0

    if score == "magnitude":
        found = from_weights(model, score=score)
    else:
        found = from_data(model, batches(inputs, labelled=False), score=score)

    assert found.heads[1][1] == 0
    assert found.ffn[1][40] == 0
    assert keep_units(found.heads, 1 / 8) == ((0, 1, 2, 3), (0, 2, 3))
    assert keep_units(found.ffn, 1 / 128)[1] == tuple(n for n in range(64) if n != 40)


def test_scores_follow_units_through_a_cut(
    tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    """An emptied sub-layer has no scores; heads that stay keep their magnitude."""
    model = tiny_checkpoint().model
    whole = from_weights(model)

    smaller = cut(model, heads=((1, 3), ()), ffn=((0, 5, 9), ()))

    found = from_weights(smaller)
    np.testing.assert_allclose(found.heads[0], whole.heads[0][[1, 3]])
    np.testing.assert_allclose(found.ffn[0], whole.ffn[0][[0, 5, 9]])
    assert [values.size for values in (found.heads[1], found.ffn[1])] == [0, 0]
    measured = from_data(smaller, batches(inputs))
    assert [values.size for values in (*measured.heads, *measured.ffn)] == [2, 0, 3, 0]


def state_of(model: PreTrainedModel) -> tuple[object, ...]:
    """Returns what scoring must not change."""
    hooks = [len(m._forward_pre_hooks) + len(m._forward_hooks) for m in model.modules()]
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    gradients = [parameter.grad is None for parameter in model.parameters()]
    return hooks, wanted, gradients, model.training, model.config.to_dict()


def test_the_model_stays_as_it_was(
    tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    model = tiny_checkpoint().model
    model.base_model.embeddings.requires_grad_(False)  # as someone who fine-tunes might
    before, weights = state_of(model), copy.deepcopy(model.state_dict())

    from_data(model, batches(inputs))
    from_weights(model)

    assert state_of(model) == before
    assert all(torch.equal(weights[name], now) for name, now in model.state_dict().items())


def test_an_error_inside_leaves_the_model_as_it_was(
    tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    model = tiny_checkpoint().model
    before = state_of(model)
    broken = Batch({**inputs, "input_ids": inputs["input_ids"] + 10_000}, {})

    with pytest.raises(IndexError):
        from_data(model, [*batches(inputs), broken])

    assert state_of(model) == before


def test_an_interrupt_from_the_progress_leaves_the_model_as_it_was(
    tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    model = tiny_checkpoint().model
    before = state_of(model)

    def interrupt(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        from_data(model, batches(inputs), progress=interrupt)

    assert state_of(model) == before


def test_progress_counts_samples(
    tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    seen: list[tuple[str, int, int]] = []

    from_data(
        tiny_checkpoint().model,
        iter(batches(inputs)),
        progress=lambda stage, done, total: seen.append((stage, done, total)),
    )

    assert seen == [("importance", 2, 3), ("importance", 3, 3)]


def test_no_samples_is_an_error(tiny_checkpoint: Callable[..., Checkpoint]) -> None:
    with pytest.raises(PassError, match="fisher needs at least one sample, got none"):
        from_data(tiny_checkpoint().model, [])


def test_damaged_weights_are_an_error(
    tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    model = tiny_checkpoint().model
    _, layer = layers_of(model)
    assert layer.ffn_output is not None
    layer.ffn_output.weight.data[3, 5] = float("nan")

    with pytest.raises(PassError, match="the importance of the FFN of layer 1 is not a finite"):
        from_weights(model)
    with pytest.raises(PassError, match="is not a finite number"):
        from_data(model, batches(inputs))


def test_a_score_of_the_other_kind_is_refused(
    tiny_checkpoint: Callable[..., Checkpoint], inputs: Inputs
) -> None:
    model = tiny_checkpoint().model

    with pytest.raises(UsageError, match="fisher or true-fisher or taylor, got 'magnitude'"):
        from_data(model, batches(inputs), score="magnitude")
    with pytest.raises(UsageError, match="must be magnitude or random, got 'fisher'"):
        from_weights(model, score="fisher")
