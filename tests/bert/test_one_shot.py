"""One-shot pruning: what it measures, what it re-fits, and that it beats cutting alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bertcompress.artifact import Checkpoint
from bertcompress.bert.curvature import curvatures
from bertcompress.bert.refit import refit
from bertcompress.bert.sample_losses import Batch
from bertcompress.bert.structure import shape_of
from bertcompress.bert.sublayers import first_calls, run_layer, watched
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


def difference(one: torch.nn.Module, other: torch.nn.Module, probes: list[Batch]) -> float:
    return sum(float((states(one, b) - states(other, b)).square().mean()) for b in probes)


@pytest.mark.parametrize("task", TASKS)
def test_layer_by_layer_gives_what_the_model_gives(task: str, tiny_checkpoint: Tiny) -> None:
    model, probe = tiny_checkpoint(task=task).model, batches(1)[0]
    encoder = getattr(model, model.base_model_prefix, model).encoder

    [call] = first_calls(model, [probe])
    hidden = call.hidden
    with torch.no_grad():
        for layer in encoder.layer:
            with watched(layer, "heads", "ffn") as seen:
                hidden = run_layer(layer, hidden, call)
            assert set(seen) == {"heads", "ffn"}
            normed = layer.output.LayerNorm(seen["ffn"].total)
            assert torch.allclose(normed, hidden, atol=1e-6)

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
    weights = curvatures(model, batches(20))[1] if weighted else None

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

    found, weights = curvatures(model, batches())

    shape = shape_of(model)
    assert set(found) == {(unit, layer) for unit in ("heads", "ffn") for layer in range(2)}
    assert found["heads", 0].hessian.shape == (32, 32)
    assert found["ffn", 1].hessian.shape == (shape.layer_ffn[1],) * 2
    for one in found.values():
        assert float(one.rows.mean()) == pytest.approx(1.0)
        assert float(torch.linalg.eigvalsh(one.hessian).min()) > -1e-12
    last = weights["ffn", 1][0]
    if task == "text-classification":  # only the first token is read after the last layer
        assert bool((last[:, 0] > last[:, 1]).all())
    assert [p.requires_grad for p in model.parameters()] == training


def test_curvature_repeats_itself(tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint().model

    one, two = (curvatures(model, batches(), seed=4)[0] for _ in range(2))

    assert all(torch.equal(one[key].hessian, two[key].hessian) for key in one)


def test_curvature_needs_samples(tiny_checkpoint: Tiny) -> None:
    with pytest.raises(PassError, match="at least one sample"):
        curvatures(tiny_checkpoint().model, [])
