"""What errors cost: tokens, outputs and the Hessians of inputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.curvature import ErrorCosts, error_costs, hessians
from bertcompress.bert.pruning.sublayers import Key
from bertcompress.bert.surgery import cut
from bertcompress.errors import PassError

Tiny = Callable[..., Checkpoint]
Batches = Callable[..., list[Batch]]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")


def tokens_of(costs: dict[Key, ErrorCosts]) -> list[torch.Tensor]:
    return [each for cost in costs.values() for each in cost.tokens]


def hessian_of(
    model: torch.nn.Module,
    texts: list[Batch],
    key: Key,
    weights: list[torch.Tensor],
    scale: float,
) -> torch.Tensor:
    """The definition, on the inputs that a run of the whole model has."""
    unit, at = key
    layer = getattr(model, model.base_model_prefix, model).encoder.layer[at]
    dense = layer.attention.output.dense if unit == "heads" else layer.output.dense
    total, count = torch.zeros(dense.in_features, dense.in_features, dtype=torch.float64), 0
    for batch, weight in zip(texts, weights, strict=True):
        if batch.held_out:
            continue
        noted: list[torch.Tensor] = []
        hook = dense.register_forward_pre_hook(lambda _, inputs, noted=noted: noted.extend(inputs))
        with torch.no_grad():
            model(**batch.inputs)
        hook.remove()
        real = batch.inputs["attention_mask"].bool()
        x, w = noted[0][real].double(), weight[real].double()
        total += (x * w[:, None]).T @ x
        count += len(x)
    return total * scale / count


@pytest.mark.parametrize("task", TASKS)
def test_curvature_weighs_the_tokens_that_count(
    task: str, tiny_checkpoint: Tiny, batches: Batches
) -> None:
    model = tiny_checkpoint(task=task).model
    training = [p.requires_grad for p in model.parameters()]

    costs = error_costs(model, batches())

    assert set(costs) == {(unit, layer) for unit in ("heads", "ffn") for layer in range(2)}
    real = torch.cat([batch.inputs["attention_mask"].bool().flatten() for batch in batches()])
    for cost in costs.values():
        assert float(cost.rows.mean()) == pytest.approx(1.0)
        each = torch.cat([each.flatten() for each in cost.tokens])
        assert float(each[real].mean()) == pytest.approx(1.0)
    last = costs["ffn", 1].tokens[0]
    if task == "text-classification":  # only the first token is read after the last layer
        assert bool((last[:, 0] > last[:, 1]).all())
    assert [p.requires_grad for p in model.parameters()] == training


@pytest.mark.parametrize("task", TASKS)
def test_the_hessian_is_that_of_the_inputs_and_of_the_tokens_costs(
    task: str, tiny_checkpoint: Tiny, batches: Batches
) -> None:
    model = tiny_checkpoint(task=task).model
    costs = error_costs(model, batches())

    found = dict(hessians(model, batches(), costs, set(costs)))

    assert list(found) == [("heads", 0), ("ffn", 0), ("heads", 1), ("ffn", 1)]
    for key, hessian in found.items():
        expected = hessian_of(model, batches(), key, costs[key].tokens, costs[key].scale)
        assert torch.allclose(hessian, expected, rtol=1e-4, atol=1e-6 * float(expected.max()))
        assert torch.equal(hessian, hessian.T)
        assert float(torch.linalg.eigvalsh(hessian).min()) > -1e-6 * float(hessian.max())


def test_only_the_hessians_that_are_wanted_come(tiny_checkpoint: Tiny, batches: Batches) -> None:
    model = tiny_checkpoint().model
    costs = error_costs(model, batches())
    every = dict(hessians(model, batches(), costs, set(costs)))

    some = dict(hessians(model, batches(), costs, {("ffn", 0)}))

    assert list(some) == [("ffn", 0)]
    assert torch.equal(some["ffn", 0], every["ffn", 0])
    assert list(hessians(model, batches(), costs, set())) == []


def test_curvature_repeats_itself(tiny_checkpoint: Tiny, batches: Batches) -> None:
    model = tiny_checkpoint().model

    one, two = (error_costs(model, batches(), seed=4) for _ in range(2))

    assert all(torch.equal(a, b) for a, b in zip(tokens_of(one), tokens_of(two), strict=True))


def test_a_sub_layer_without_units_has_equal_costs(tiny_checkpoint: Tiny, batches: Batches) -> None:
    model = cut(tiny_checkpoint().model, heads=((), (0, 1)), ffn=((0, 1), ()))

    costs = error_costs(model, batches())

    mask = batches()[0].inputs["attention_mask"]
    assert torch.equal(costs["heads", 0].tokens[0], mask.float())
    assert torch.equal(costs["ffn", 1].tokens[0], mask.float())
    assert costs["heads", 1].scale > 0


def test_curvature_needs_samples_and_finite_weights(
    tiny_checkpoint: Tiny, batches: Batches
) -> None:
    model = tiny_checkpoint().model
    with pytest.raises(PassError, match="at least one sample"):
        error_costs(model, [])
    with torch.no_grad():
        encoder = getattr(model, model.base_model_prefix, model).encoder
        encoder.layer[1].output.dense.weight.fill_(torch.nan)
    with pytest.raises((PassError, RuntimeError)):
        error_costs(model, batches())
