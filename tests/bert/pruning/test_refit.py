"""Re-fitting: it brings the hidden states back, and beats cutting alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.curvature import error_costs
from bertcompress.bert.pruning.refit import refit
from bertcompress.bert.surgery import cut
from bertcompress.errors import UsageError

Tiny = Callable[..., Checkpoint]
Batches = Callable[..., list[Batch]]
States = Callable[[torch.nn.Module, Batch], torch.Tensor]
Difference = Callable[[torch.nn.Module, torch.nn.Module, list[Batch]], float]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")


@pytest.fixture
def difference(states: States) -> Difference:
    """Gives ``difference(first, second, probes)``: how far the hidden states are apart."""

    def measure(first: torch.nn.Module, second: torch.nn.Module, probes: list[Batch]) -> float:
        return sum(float((states(first, b) - states(second, b)).square().mean()) for b in probes)

    return measure


def test_refitting_an_uncut_model_changes_nothing(
    tiny_checkpoint: Tiny, batches: Batches, difference: Difference
) -> None:
    model = tiny_checkpoint().model
    same = cut(model)

    refit(model, same, batches())

    assert difference(model, same, batches(2, seed=9)) < 1e-8


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_refitting_brings_the_hidden_states_back(
    task: str, weighted: bool, tiny_checkpoint: Tiny, batches: Batches, difference: Difference
) -> None:
    model = tiny_checkpoint(task=task).model
    heads, ffn = ((0, 2), (1,)), (tuple(range(0, 64, 2)), tuple(range(32)))
    before, after = cut(model, heads=heads, ffn=ffn), cut(model, heads=heads, ffn=ffn)
    costs = error_costs(model, batches(20)) if weighted else {}
    weights = {key: cost.tokens for key, cost in costs.items()} or None

    done = refit(model, after, batches(20), weights=weights)

    assert [(fit.unit, fit.layer) for fit in done] == [
        ("heads", 0),
        ("ffn", 0),
        ("heads", 1),
        ("ffn", 1),
    ]
    assert all(fit.error_after <= fit.error_before for fit in done)
    assert any(fit.accepted for fit in done)
    if not weighted:
        probes = batches(4, seed=5)
        assert difference(model, after, probes) < 0.9 * difference(model, before, probes)


def test_an_emptied_sub_layer_gets_its_bias_fitted(
    tiny_checkpoint: Tiny, batches: Batches, difference: Difference
) -> None:
    model = tiny_checkpoint().model
    empty = cut(model, heads=((), (0, 1, 2, 3)), ffn=(tuple(range(64)), ()))
    bare = cut(model, heads=((), (0, 1, 2, 3)), ffn=(tuple(range(64)), ()))

    done = refit(model, empty, batches(20))

    assert done[0].accepted
    assert done[3].accepted
    probes = batches(4, seed=5)
    assert difference(model, empty, probes) < difference(model, bare, probes)


def test_refitting_needs_batches_to_fit_and_to_check_and_equal_layers(
    tiny_checkpoint: Tiny, batches: Batches
) -> None:
    model = tiny_checkpoint().model

    with pytest.raises(UsageError, match="some held out to check"):
        refit(model, cut(model), batches(1))
    with pytest.raises(UsageError, match="drop layers after"):
        refit(model, cut(model, layers=[0]), batches(2))
