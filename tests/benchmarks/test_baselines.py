"""The published methods: what they remove, that they tune, and that they repeat themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from baselines.flops import unit_flops
from baselines.kprune import KPrune
from baselines.kwon import KwonPrune, rearranged, search
from baselines.walk import Walk
from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.structure import encoder_of, shape_of
from bertcompress.bert.surgery import cut
from bertcompress.errors import UsageError
from bertcompress.examples import TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.samples import batches_for

Tiny = Callable[..., Checkpoint]
METHODS: tuple[Any, ...] = (KwonPrune, KPrune)
WORDS = ("good", "bad", "film", "the", "is", "not", "berlin", "anna", "lives", "who")


def texts(count: int = 64) -> tuple[TextExample, ...]:
    generator = np.random.default_rng(1)
    return tuple(
        TextExample(
            f"t:{at}",
            " ".join(generator.choice(WORDS, size=generator.integers(3, 9))),
            label=("negative", "positive")[at % 2],
        )
        for at in range(count)
    )


def logits(checkpoint: Checkpoint) -> torch.Tensor:
    batches = batches_for(checkpoint, texts(), samples=64, batch_size=8, max_length=None, seed=3)
    with torch.no_grad():
        return torch.cat([checkpoint.model(**batch.inputs).logits for batch in batches])


@pytest.mark.parametrize("method", METHODS)
def test_removing_nothing_gives_the_same_answers(method: Any, tiny_checkpoint: Tiny) -> None:
    before = tiny_checkpoint()

    after = method()(before, Context(texts()))

    assert torch.equal(logits(after), logits(before))


@pytest.mark.parametrize("method", METHODS)
def test_the_fractions_are_met_exactly(method: Any, tiny_checkpoint: Tiny) -> None:
    after = method(heads=0.5, ffn=0.3)(tiny_checkpoint(), Context(texts()))

    shape = shape_of(after.model)
    assert sum(shape.layer_heads) == 4
    assert sum(shape.layer_ffn) == round(0.7 * 128)
    assert after.history[-1].name == method.__name__


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("flops", [0.2, 0.6])
def test_flops_stay_within_the_budget(method: Any, flops: float, tiny_checkpoint: Tiny) -> None:
    before = tiny_checkpoint()
    batches = batches_for(before, texts(), samples=64, batch_size=8, max_length=None, seed=0)
    costs = unit_flops(shape_of(before.model), batches)

    after = method(flops=flops)(before, Context(texts()))

    left = costs.of(shape_of(after.model)) / costs.of(shape_of(before.model))
    assert 0.9 * (1 - flops) < left <= (1 - flops) + 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_dead_units_go_first(method: Any, tiny_checkpoint: Tiny) -> None:
    dead = tiny_checkpoint()
    for layer in encoder_of(dead.model).layer:
        layer.output.dense.weight.data[:, ::4] = 0.0  # a quarter of the neurons
        layer.attention.output.dense.weight.data[:, 8:16] = 0.0  # the second of four heads

    after = method(heads=0.25, ffn=0.25)(dead, Context(texts()))

    assert shape_of(after.model).layer_heads == (3, 3)
    assert shape_of(after.model).layer_ffn == (48, 48)
    assert torch.allclose(logits(after), logits(dead), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_tuning_lowers_the_error_of_the_hidden_states(method: Any, tiny_checkpoint: Tiny) -> None:
    before = tiny_checkpoint()
    after = method(heads=0.5, ffn=0.5)(before, Context(texts()))
    batches = batches_for(before, texts(), samples=64, batch_size=8, max_length=None, seed=0)
    stay = _kept_like(before, after)

    bare = cut(before.model, heads=stay[0], ffn=stay[1])

    assert _error(before, after.model, batches) < _error(before, bare, batches)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_weights(method: Any, tiny_checkpoint: Tiny) -> None:
    one, two = (method(ffn=0.5, seed=5)(tiny_checkpoint(), Context(texts())) for _ in range(2))

    assert torch.equal(logits(one), logits(two))


@pytest.mark.parametrize("method", METHODS)
def test_the_input_is_left_as_it_was(method: Any, tiny_checkpoint: Tiny) -> None:
    before = tiny_checkpoint()
    weights = {name: one.clone() for name, one in before.model.state_dict().items()}

    method(heads=0.5, ffn=0.5)(before, Context(texts()))

    after = before.model.state_dict()
    assert list(after) == list(weights)
    assert all(torch.equal(after[name], one) for name, one in weights.items())


@pytest.mark.parametrize("method", METHODS)
def test_bad_settings_are_refused(method: Any) -> None:
    with pytest.raises(UsageError, match="not both"):
        method(heads=0.3, flops=0.3)
    with pytest.raises(UsageError, match=r"flops must be in \[0, 1\)"):
        method(flops=1.5)


def test_k_prune_measures_tokens_too(tiny_checkpoint: Tiny) -> None:
    from bertcompress.examples import TokenExample

    rows = tuple(
        TokenExample(f"t:{at}", ("anna", "lives", "in", "berlin"), ("B-PER", "O", "O", "O"))
        for at in range(32)
    )

    after = KPrune(heads=0.5, ffn=0.5)(tiny_checkpoint(task="token-classification"), Context(rows))

    assert sum(shape_of(after.model).layer_heads) == 4


def test_search_keeps_what_loses_least() -> None:
    heads, neurons = np.array([5.0, 1.0]), np.array([3.0, 2.0, 2.0, 0.1])

    # With 4 FLOPs: no head and all neurons 7.1, one head and two neurons 10, two heads alone 6.
    assert search(heads, neurons, 2.0, 1.0, 4.0) == (1, 2)
    assert search(heads, neurons, 2.0, 1.0, 8.0) == (2, 4)
    assert search(heads, neurons, 2.0, 1.0, 0.5) == (0, 0)


def test_rearranging_never_costs_more() -> None:
    generator = np.random.default_rng(0)
    gradients = generator.normal(size=(40, 12)) @ generator.normal(size=(12, 12))
    kept = tuple(int(one) for one in np.argsort(-np.square(gradients).sum(axis=0))[:6])

    stay = rearranged(gradients, sorted(kept))

    def cost(units: tuple[int, ...]) -> float:
        gone = [unit for unit in range(12) if unit not in units]
        return float(np.square(gradients[:, gone].sum(axis=1)).sum())

    assert len(stay) == 6
    assert cost(stay) < cost(kept)


def _error(before: Checkpoint, smaller: Any, batches: Any) -> float:
    """Squared error of the sums before all LayerNorms of the last layer."""
    walk = Walk(before.model, smaller, batches)
    for _ in range(len(encoder_of(smaller).layer) - 1):
        walk.sums("ffn")
        walk.advance()
    sums = walk.sums("ffn")
    return sums.error(walk.projection("ffn").weight)


def _kept_like(before: Checkpoint, after: Checkpoint) -> tuple[Any, Any]:
    """Finds the units that stayed by their rows of query and of the first FFN matrix."""
    heads, ffn = [], []
    for old, new in zip(encoder_of(before.model).layer, encoder_of(after.model).layer, strict=True):
        size = shape_of(before.model).head_size
        rows = _rows(old.attention.self.query, getattr(new.attention.self, "query", None))
        heads.append(tuple(sorted({row // size for row in rows})))
        ffn.append(_rows(old.intermediate.dense, getattr(new.intermediate, "dense", None)))
    return tuple(heads), tuple(ffn)


def _rows(old: Any, new: Any) -> tuple[int, ...]:
    if new is None:
        return ()
    same = (old.weight[:, None] == new.weight[None]).all(dim=-1).any(dim=1)
    return tuple(int(row) for row in same.nonzero()[:, 0])
