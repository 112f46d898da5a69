"""One-shot pruning: what it measures, what it re-fits, and that it beats cutting alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.curvature import ErrorCosts, error_costs, hessians
from bertcompress.bert.pruning.refit import TokenWeights, refit
from bertcompress.bert.pruning.sublayers import UNITS, Key, enter, first_calls, leave
from bertcompress.bert.surgery import cut
from bertcompress.errors import PassError, UsageError

Tiny = Callable[..., Checkpoint]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")


def batches(count: int = 6, *, seed: int = 0) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        ids = torch.randint(5, 60, (4, 9), generator=generator)
        mask = torch.ones_like(ids)
        mask[0, 5:] = 0
        inputs = {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": ids * 0}
        made.append(Batch(inputs, {}))
    return made


def states(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        found = model(**batch.inputs, output_hidden_states=True).hidden_states[-1]
    real: torch.Tensor = found[batch.inputs["attention_mask"].bool()]
    return real


def tokens(costs: dict[Key, ErrorCosts]) -> TokenWeights:
    return {key: one.tokens for key, one in costs.items()}


def tokens_of(costs: dict[Key, ErrorCosts]) -> list[torch.Tensor]:
    return [each for one in costs.values() for each in one.tokens]


def hessian_of(
    model: torch.nn.Module, key: Key, weights: list[torch.Tensor], scale: float
) -> torch.Tensor:
    """The definition, on the inputs that a run of the whole model has."""
    unit, at = key
    layer = getattr(model, model.base_model_prefix, model).encoder.layer[at]
    dense = layer.attention.output.dense if unit == "heads" else layer.output.dense
    total, count = torch.zeros(dense.in_features, dense.in_features, dtype=torch.float64), 0
    for batch, weight in zip(batches(), weights, strict=True):
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


def difference(one: torch.nn.Module, other: torch.nn.Module, probes: list[Batch]) -> float:
    return sum(float((states(one, b) - states(other, b)).square().mean()) for b in probes)


@pytest.mark.parametrize("task", TASKS)
def test_sub_layer_by_sub_layer_gives_what_the_model_gives(
    task: str, tiny_checkpoint: Tiny
) -> None:
    model, probe = tiny_checkpoint(task=task).model, batches(1)[0]
    encoder = getattr(model, model.base_model_prefix, model).encoder

    [call] = first_calls(model, [probe])
    hidden = call.hidden
    with torch.no_grad():
        for layer in encoder.layer:
            for unit in UNITS:
                inputs, residual = enter(layer, unit, hidden, call)
                assert torch.equal(residual, hidden)
                hidden = leave(layer, unit, inputs, residual)

    real = probe.inputs["attention_mask"].bool()
    assert torch.allclose(hidden[real], states(model, probe), atol=1e-6)


def test_refitting_an_uncut_model_changes_nothing(tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint().model
    same = cut(model)

    refit(model, same, batches())

    assert difference(model, same, batches(2, seed=9)) < 1e-8


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_refitting_brings_the_hidden_states_back(
    task: str, weighted: bool, tiny_checkpoint: Tiny
) -> None:
    model = tiny_checkpoint(task=task).model
    heads, ffn = ((0, 2), (1,)), (tuple(range(0, 64, 2)), tuple(range(32)))
    before, after = cut(model, heads=heads, ffn=ffn), cut(model, heads=heads, ffn=ffn)
    weights = tokens(error_costs(model, batches(20))) if weighted else None

    done = refit(model, after, batches(20), weights=weights)

    assert [(one.unit, one.layer) for one in done] == [
        ("heads", 0),
        ("ffn", 0),
        ("heads", 1),
        ("ffn", 1),
    ]
    assert all(one.error_after <= one.error_before for one in done)
    assert any(one.accepted for one in done)
    if not weighted:
        probes = batches(4, seed=5)
        assert difference(model, after, probes) < 0.9 * difference(model, before, probes)


def test_an_emptied_sub_layer_gets_its_bias_fitted(tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint().model
    empty = cut(model, heads=((), (0, 1, 2, 3)), ffn=(tuple(range(64)), ()))
    bare = cut(model, heads=((), (0, 1, 2, 3)), ffn=(tuple(range(64)), ()))

    done = refit(model, empty, batches(20))

    assert done[0].accepted
    assert done[3].accepted
    probes = batches(4, seed=5)
    assert difference(model, empty, probes) < difference(model, bare, probes)


def test_refitting_needs_two_batches_and_equal_layers(tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint().model

    with pytest.raises(UsageError, match="at least two batches"):
        refit(model, cut(model), batches(1))
    with pytest.raises(UsageError, match="drop layers after"):
        refit(model, cut(model, layers=[0]), batches(2))


@pytest.mark.parametrize("task", TASKS)
def test_curvature_weighs_the_tokens_that_count(task: str, tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint(task=task).model
    training = [p.requires_grad for p in model.parameters()]

    costs = error_costs(model, batches())

    assert set(costs) == {(unit, layer) for unit in ("heads", "ffn") for layer in range(2)}
    real = torch.cat([batch.inputs["attention_mask"].bool().flatten() for batch in batches()])
    for one in costs.values():
        assert float(one.rows.mean()) == pytest.approx(1.0)
        each = torch.cat([each.flatten() for each in one.tokens])
        assert float(each[real].mean()) == pytest.approx(1.0)
    last = costs["ffn", 1].tokens[0]
    if task == "text-classification":  # only the first token is read after the last layer
        assert bool((last[:, 0] > last[:, 1]).all())
    assert [p.requires_grad for p in model.parameters()] == training


@pytest.mark.parametrize("task", TASKS)
def test_the_hessian_is_that_of_the_inputs_and_of_the_tokens_costs(
    task: str, tiny_checkpoint: Tiny
) -> None:
    model = tiny_checkpoint(task=task).model
    costs = error_costs(model, batches())

    found = dict(hessians(model, batches(), costs, set(costs)))

    assert list(found) == [("heads", 0), ("ffn", 0), ("heads", 1), ("ffn", 1)]
    for key, hessian in found.items():
        expected = hessian_of(model, key, costs[key].tokens, costs[key].scale)
        assert torch.allclose(hessian, expected, rtol=1e-4, atol=1e-6 * float(expected.max()))
        assert torch.equal(hessian, hessian.T)
        assert float(torch.linalg.eigvalsh(hessian).min()) > -1e-6 * float(hessian.max())


def test_only_the_hessians_that_are_wanted_come(tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint().model
    costs = error_costs(model, batches())
    every = dict(hessians(model, batches(), costs, set(costs)))

    some = dict(hessians(model, batches(), costs, {("ffn", 0)}))

    assert list(some) == [("ffn", 0)]
    assert torch.equal(some["ffn", 0], every["ffn", 0])
    assert list(hessians(model, batches(), costs, set())) == []


def test_curvature_repeats_itself(tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint().model

    one, two = (error_costs(model, batches(), seed=4) for _ in range(2))

    assert all(torch.equal(a, b) for a, b in zip(tokens_of(one), tokens_of(two), strict=True))


def test_a_sub_layer_without_units_has_equal_costs(tiny_checkpoint: Tiny) -> None:
    model = cut(tiny_checkpoint().model, heads=((), (0, 1)), ffn=((0, 1), ()))

    costs = error_costs(model, batches())

    mask = batches()[0].inputs["attention_mask"]
    assert torch.equal(costs["heads", 0].tokens[0], mask.float())
    assert torch.equal(costs["ffn", 1].tokens[0], mask.float())
    assert costs["heads", 1].scale > 0


def test_curvature_needs_samples_and_finite_weights(tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint().model
    with pytest.raises(PassError, match="at least one sample"):
        error_costs(model, [])
    with torch.no_grad():
        encoder = getattr(model, model.base_model_prefix, model).encoder
        encoder.layer[1].output.dense.weight.fill_(torch.nan)
    with pytest.raises((PassError, RuntimeError)):
        error_costs(model, batches())
