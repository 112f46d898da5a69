"""What sub-layers cost alone: nothing gone costs nothing, the original stays, estimates follow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.answers import answer_loss
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.measured_costs import (
    costs_alone,
    divergence,
    divergence_unit,
    scaled,
)
from bertcompress.bert.pruning.sublayers import Key, sublayers_of
from bertcompress.bert.structure import layers_of, shape_of

Batches = Callable[..., list[Batch]]
Tiny = Callable[..., Checkpoint]


def test_what_keeps_all_units_costs_nothing_and_what_keeps_none_costs_the_most(
    task: str, tiny_checkpoint: Tiny, batches: Batches
) -> None:
    model = tiny_checkpoint(task=task).model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    shape = shape_of(model)
    kept: dict[Key, list[tuple[int, ...]]] = {}
    for unit, layer in sublayers_of(model):
        count = (shape.layer_heads if unit == "heads" else shape.layer_ffn)[layer]
        kept[unit, layer] = [tuple(range(count)), ()]

    found = costs_alone(model, batches(4), batches(2, seed=1), kept)

    assert found.keys() == kept.keys()
    for whole, emptied in found.values():
        assert whole == pytest.approx(0.0, abs=1e-6)
        assert emptied > whole
    after = model.state_dict()
    assert all(value.equal(after[name]) for name, value in before.items())


def test_a_dead_unit_costs_nothing(tiny_checkpoint: Tiny, batches: Batches) -> None:
    model = tiny_checkpoint().model
    _, layer = layers_of(model)
    assert layer.attention_output is not None
    layer.attention_output.weight.data[:, 8:16] = 0  # head 1

    found = costs_alone(model, batches(4), batches(2, seed=1), {("heads", 1): [(0, 2, 3), (0, 1)]})

    dead, alive = found["heads", 1]
    assert dead == pytest.approx(0.0, abs=1e-6)
    assert alive > dead


def test_the_divergence_from_itself_is_nothing(tiny_checkpoint: Tiny, batches: Batches) -> None:
    one, other = tiny_checkpoint().model, tiny_checkpoint().model
    for parameter in other.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)

    assert divergence(one, one, batches(4)) == 0.0
    assert divergence(one, other, batches(4)) > 0.0


def test_the_unit_is_told(tiny_checkpoint: Tiny) -> None:
    assert divergence_unit(tiny_checkpoint().model) == "KL, nats"
    assert divergence_unit(tiny_checkpoint(task="feature-extraction").model) == "squared error"


def test_labels_that_each_may_hold_diverge_one_by_one() -> None:
    goal, found = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[1.0, 0.0, 0.5]])
    real = torch.ones(1, 4, dtype=torch.bool)

    loss = answer_loss(
        {"logits": goal},
        {"logits": found},
        real,
        temperature=1.0,
        problem="multi_label_classification",
    )

    p, q = goal.sigmoid(), found.sigmoid()
    by_hand = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum()
    assert float(loss) == pytest.approx(float(by_hand), rel=1e-5)
    everywhere_higher = answer_loss(
        {"logits": goal}, {"logits": goal + 1}, real, problem="multi_label_classification"
    )
    assert float(everywhere_higher) > 0  # a softmax would not see it


rising = st.lists(st.floats(1e-6, 1.0), min_size=4, max_size=12).map(
    lambda steps: np.concatenate([[0.0], np.cumsum(steps)])
)


@given(rising, st.lists(st.floats(0.0, 10.0), min_size=2, max_size=2))
def test_scaled_estimates_start_at_nothing_and_always_rise(
    errors: np.ndarray, truth: list[float]
) -> None:
    curve = scaled(errors, [1, len(errors) - 1], truth)

    assert curve[0] == 0.0
    assert (np.diff(curve) > 0).all()


@given(rising, st.floats(0.1, 10.0))
def test_estimates_agree_with_what_was_tried(errors: np.ndarray, ratio: float) -> None:
    tried = [1, len(errors) // 2, len(errors) - 1]

    curve = scaled(errors, tried, [ratio * float(errors[count]) for count in tried])

    assert curve == pytest.approx(ratio * errors, abs=1e-5 * float(curve[-1]))


def test_estimates_of_nothing_are_no_error() -> None:
    curve = scaled(np.zeros(5), [2, 4], [0.0, 0.0])

    assert np.isfinite(curve).all()
