"""What is re-fitted after a cut comes nearer to the whole model, and never further away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.curvature import ErrorCosts, error_costs
from bertcompress.bert.pruning.refit import TokenWeights, refit
from bertcompress.bert.pruning.sublayers import Key
from bertcompress.bert.surgery import cut
from bertcompress.errors import UsageError
from fixtures.batches import drawn_batches

Tiny = Callable[..., Checkpoint]


def states(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        found = model(**batch.inputs, output_hidden_states=True).hidden_states[-1]
    real: torch.Tensor = found[batch.inputs["attention_mask"].bool()]
    return real


def tokens(costs: dict[Key, ErrorCosts]) -> TokenWeights:
    return {key: one.tokens for key, one in costs.items()}


def difference(one: torch.nn.Module, other: torch.nn.Module, probes: list[Batch]) -> float:
    return sum(float((states(one, b) - states(other, b)).square().mean()) for b in probes)


def test_refitting_an_uncut_model_changes_nothing(tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint().model
    same = cut(model)

    refit(model, same, drawn_batches(6))

    assert difference(model, same, drawn_batches(2, seed=9)) < 1e-8


@pytest.mark.parametrize("weighted", [False, True])
def test_refitting_brings_the_hidden_states_back(
    task: str, weighted: bool, tiny_checkpoint: Tiny
) -> None:
    model = tiny_checkpoint(task=task).model
    heads, ffn = ((0, 2), (1,)), (tuple(range(0, 64, 2)), tuple(range(32)))
    before, after = cut(model, heads=heads, ffn=ffn), cut(model, heads=heads, ffn=ffn)
    weights = tokens(error_costs(model, drawn_batches(20))) if weighted else None

    done = refit(model, after, drawn_batches(20), weights=weights)

    assert [(one.unit, one.layer) for one in done] == [
        ("heads", 0),
        ("ffn", 0),
        ("heads", 1),
        ("ffn", 1),
    ]
    assert all(one.error_after <= one.error_before for one in done)
    assert any(one.accepted for one in done)
    if not weighted:
        probes = drawn_batches(4, seed=5)
        assert difference(model, after, probes) < 0.9 * difference(model, before, probes)


def test_an_emptied_sub_layer_gets_its_bias_fitted(tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint().model
    empty = cut(model, heads=((), (0, 1, 2, 3)), ffn=(tuple(range(64)), ()))
    bare = cut(model, heads=((), (0, 1, 2, 3)), ffn=(tuple(range(64)), ()))

    done = refit(model, empty, drawn_batches(20))

    assert done[0].accepted
    assert done[3].accepted
    probes = drawn_batches(4, seed=5)
    assert difference(model, empty, probes) < difference(model, bare, probes)


def test_refitting_needs_two_batches_and_equal_layers(tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint().model

    with pytest.raises(UsageError, match="at least two batches"):
        refit(model, cut(model), drawn_batches(1))
    with pytest.raises(UsageError, match="drop layers after"):
        refit(model, cut(model, layers=[0]), drawn_batches(2))
