"""Tables of costs: their parts add up to what was measured, or to what models have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.cost_table import (
    CostTable,
    flops_table,
    parameters_table,
    table_from_totals,
)
from bertcompress.bert.structure import shape_of
from bertcompress.bert.surgery import cut
from bertcompress.errors import UsageError

Tiny = Callable[..., Checkpoint]
TASKS = ("text-classification", "token-classification", "question-answering", "feature-extraction")
seconds = st.floats(1e-5, 1e-2)


@given(
    seconds, st.lists(seconds, min_size=2, max_size=4), st.lists(seconds, min_size=2, max_size=4)
)
def test_an_additive_machine_is_read_back(
    rest: float, per_head: list[float], per_neuron: list[float]
) -> None:
    heads = np.concatenate([[0.0], np.cumsum(per_head)])
    ffn = np.concatenate([[0.0], np.cumsum(per_neuron)])
    top = len(per_head), len(per_neuron)
    totals = {(h, top[1]): rest + 6 * (heads[h] + ffn[-1]) for h in range(len(heads))}
    totals |= {(top[0], f): rest + 6 * (heads[-1] + ffn[f]) for f in range(len(ffn))}

    table = table_from_totals(totals, layers=6)

    assert table.rest == pytest.approx(rest, rel=1e-6)
    assert table.heads_cost(range(len(heads))) == pytest.approx(heads, abs=1e-12)
    assert table.ffn_cost(range(len(ffn))) == pytest.approx(ffn, abs=1e-12)
    widths = [top[0], 0, 1], [0, top[1], 1]
    expected = rest + heads[list(widths[0])].sum() + ffn[list(widths[1])].sum()
    assert table.predict(*widths) == pytest.approx(expected)


def test_more_width_never_takes_less_time() -> None:
    totals = {(2, 8): 10.0, (1, 8): 11.0, (0, 8): 4.0, (2, 0): 3.0, (2, 4): 2.0}

    table = table_from_totals(totals, layers=1)

    assert (np.diff(table.heads_cost([0, 1, 2])) >= 0).all()
    assert (np.diff(table.ffn_cost([0, 4, 8])) >= 0).all()


def test_between_widths_time_is_interpolated() -> None:
    table = CostTable(1.0, ((0, 0.0), (4, 2.0)), ((0, 0.0), (64, 4.0)))

    assert table.heads_cost([1, 3]).tolist() == [0.5, 1.5]
    assert table.predict([2, 2], [32, 0]) == 1.0 + 2.0 + 2.0


def test_a_missing_model_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"needs the times of \[\(0, 8\)\]"):
        table_from_totals({(2, 8): 1.0, (2, 0): 0.5}, layers=2)


@pytest.mark.parametrize("task", TASKS)
def test_parameters_are_those_of_the_pruned_model(task: str, tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint(task=task).model
    smaller = cut(model, heads=((0, 2), (1, 2, 3)), ffn=(tuple(range(40)), (3,)))
    shape = shape_of(smaller)

    predicted = parameters_table(model).predict(shape.layer_heads, shape.layer_ffn)

    assert predicted == sum(one.numel() for one in smaller.parameters())


@pytest.mark.parametrize("task", TASKS)
def test_operations_are_those_that_torch_counts(task: str, tiny_checkpoint: Tiny) -> None:
    model = tiny_checkpoint(task=task).model
    ids = torch.randint(5, 60, (3, 16))
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": ids * 0,
    }
    shape = shape_of(model)

    predicted = flops_table(model, [Batch(inputs, {})]).predict(shape.layer_heads, shape.layer_ffn)

    # Attention as plain products, which torch counts on every platform.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        model(**inputs)
    assert predicted == pytest.approx(counter.get_total_flops() / 3, rel=1e-6)
