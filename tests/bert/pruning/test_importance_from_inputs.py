"""Scores from activations: by hand, and that dead units go first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.importance import ScoreName
from bertcompress.bert.pruning.importance_from_inputs import from_inputs
from bertcompress.bert.structure import layers_of
from bertcompress.bert.surgery import cut
from bertcompress.errors import PassError, UsageError

Batches = Callable[..., list[Batch]]
Tiny = Callable[..., Checkpoint]


@pytest.mark.parametrize("score", ["wanda", "obs"])
def test_a_dead_unit_scores_nothing_and_all_others_something(
    score: ScoreName, tiny_checkpoint: Tiny, batches: Batches
) -> None:
    model = tiny_checkpoint().model
    _, layer = layers_of(model)
    assert layer.attention_output is not None
    assert layer.ffn_output is not None
    layer.attention_output.weight.data[:, 8:16] = 0  # head 1
    layer.ffn_output.weight.data[:, 40] = 0

    found = from_inputs(model, batches(3), score=score)

    assert found.samples == 12
    assert found.heads[1][1] == 0.0
    assert found.ffn[1][40] == 0.0
    assert sum(int((one == 0).sum()) for one in (*found.heads, *found.ffn)) == 2


def test_wanda_by_hand(tiny_checkpoint: Tiny, batches: Batches) -> None:
    model = tiny_checkpoint().model
    first = next(iter(layers_of(model)))
    assert first.ffn_output is not None
    seen: list[torch.Tensor] = []
    hook = first.ffn_output.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    texts = batches(3)
    with torch.no_grad():
        for one in texts:
            model(**one.inputs)
    hook.remove()
    real = torch.cat([one.inputs["attention_mask"].bool().flatten() for one in texts])
    x = torch.cat([one.flatten(0, 1) for one in seen])[real].double()
    weight = first.ffn_output.weight.detach().double()
    expected = [float(weight[:, j].norm() * x[:, j].norm()) for j in range(weight.shape[1])]

    found = from_inputs(model, texts, score="wanda")

    np.testing.assert_allclose(found.ffn[0], expected, rtol=1e-5)


def test_emptied_sublayers_have_no_scores(tiny_checkpoint: Tiny, batches: Batches) -> None:
    smaller = cut(tiny_checkpoint().model, heads=((1, 3), ()), ffn=((0, 5, 9), ()))

    for score in ("wanda", "obs"):
        found = from_inputs(smaller, batches(3), score=score)  # type: ignore[arg-type]  # two names
        assert [values.size for values in (*found.heads, *found.ffn)] == [2, 0, 3, 0]


def test_what_can_not_be_meant_is_refused(tiny_checkpoint: Tiny, batches: Batches) -> None:
    with pytest.raises(UsageError, match="wanda or obs, got 'fisher'"):
        from_inputs(tiny_checkpoint().model, batches(3), score="fisher")
    with pytest.raises(PassError, match="at least one sample"):
        from_inputs(tiny_checkpoint().model, [], score="wanda")
