"""The latency table: its parts add up to what was measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.bert.pruning.cost_table import CostTable, table_from_totals
from bertcompress.errors import UsageError

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
