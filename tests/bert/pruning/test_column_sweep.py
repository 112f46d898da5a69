"""Removal of single columns with put-off updates: the same as removal one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.bert.pruning.column_sweep import PENDING, remove_columns


def problem(seed: int, inputs: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights, and the inverse of a well-conditioned Hessian."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64)
    x = torch.randn(4 * inputs, inputs, generator=generator, dtype=torch.float64)
    return weights, torch.linalg.inv(x.T @ x / len(x))


def one_by_one(weights: torch.Tensor, inverse: torch.Tensor) -> tuple[list[int], list[float]]:
    """The plain algorithm: both matrices are updated at each removal."""
    weights, inverse = weights.clone(), inverse.clone()
    alive = torch.ones(weights.shape[1], dtype=torch.bool)
    order, costs = [], []
    while alive.any():
        each = weights.square().sum(dim=0) / inverse.diagonal()
        each[~alive] = torch.inf
        column = int(each.argmin())
        order.append(column)
        costs.append(float(each[column]))
        row = inverse[column] / inverse[column, column]
        weights -= torch.outer(weights[:, column].clone(), row)
        inverse -= inverse[column, column].clone() * torch.outer(row, row)
        alive[column] = False
        inverse[column, column] = 1.0
    return order, costs


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 12), st.integers(1, 12))
def test_put_off_updates_change_nothing(seed: int, inputs: int, outputs: int, pending: int) -> None:
    weights, inverse = problem(seed, inputs, outputs)
    order, costs = one_by_one(weights, inverse)

    found = remove_columns(weights, inverse.clone(), pending=pending)

    assert found[0] == order
    assert np.cumsum(found[1]) == pytest.approx(np.cumsum(costs), rel=1e-8)


def test_it_holds_over_several_products_of_the_usual_size() -> None:
    weights, inverse = problem(0, 5 * PENDING // 2, 32)
    order, costs = one_by_one(weights, inverse)

    found = remove_columns(weights, inverse.clone())

    assert found[0] == order
    assert found[1] == pytest.approx(costs, rel=1e-8)


def test_no_columns_are_no_problem() -> None:
    empty = torch.zeros(0, 0, dtype=torch.float64)

    assert remove_columns(torch.zeros(4, 0, dtype=torch.float64), empty) == ([], [])
