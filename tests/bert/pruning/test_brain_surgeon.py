"""Optimal brain surgeon: exact where it can be checked, and what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.bert.pruning import brain_surgeon
from bertcompress.bert.pruning.brain_surgeon import PENDING, remove_columns, sweep
from bertcompress.errors import PassError, UsageError

seeds = st.integers(0, 10_000)


def problem(seed: int, inputs: int = 8, outputs: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, inputs, generator=generator, dtype=torch.float64)
    mix = torch.randn(inputs, inputs, generator=generator, dtype=torch.float64)
    x = torch.randn(4 * inputs, inputs, generator=generator, dtype=torch.float64) @ mix
    return weight, x.T @ x / len(x)


def least_error(weight: torch.Tensor, hessian: torch.Tensor, kept: list[int]) -> float:
    """The smallest error that any weight on the kept columns can have, in closed form."""
    total = (weight @ hessian * weight).sum()
    if not kept:
        return float(total)
    cross = weight @ hessian[:, kept]
    solved = torch.linalg.solve(hessian[kept][:, kept], cross.T).T
    return float(total - (solved * cross).sum())


@given(seeds, st.sampled_from([1, 2, 4]))
def test_each_error_is_the_least_that_any_weight_on_what_is_left_can_have(
    seed: int, width: int
) -> None:
    weight, hessian = problem(seed)
    damped = hessian + brain_surgeon.DAMPING * hessian.diagonal().mean() * torch.eye(len(hessian))

    found = sweep(weight, hessian, width=width)

    for count in range(len(found.order) + 1):
        units = found.kept(len(found.order) - count)
        columns = [unit * width + k for unit in units for k in range(width)]
        expected = least_error(weight, damped, columns)
        assert found.errors[count] == pytest.approx(expected, rel=1e-6, abs=1e-8)


@given(seeds)
def test_with_an_identity_hessian_it_is_magnitude(seed: int) -> None:
    weight, _ = problem(seed)

    found = sweep(weight, torch.eye(8), damping=0.0)

    norms = weight.square().sum(dim=0)
    assert list(found.order) == norms.argsort(stable=True).tolist()
    assert found.errors[1:] == pytest.approx(norms.sort().values.cumsum(0).numpy())


@given(seeds, st.integers(0, 7))
def test_a_dead_unit_costs_nothing_and_goes_first(seed: int, dead: int) -> None:
    weight, hessian = problem(seed)
    hessian[dead] = 0.0
    hessian[:, dead] = 0.0

    found = sweep(weight, hessian)

    assert found.order[0] == dead
    assert found.errors[1] == 0.0


@given(seeds)
def test_a_copy_of_a_unit_costs_almost_nothing(seed: int) -> None:
    weight, hessian = problem(seed)
    copied = torch.cat([torch.eye(8), torch.eye(8)[:1]]).double()  # the ninth input is the first

    found = sweep(torch.cat([weight, weight[:, :1]], 1), copied @ hessian @ copied.T, damping=1e-8)

    assert found.errors[1] <= 1e-5 * found.errors[-1]  # that unit, or one that costs even less


@given(seeds, st.sampled_from([1, 2]))
def test_errors_rise_and_every_unit_goes_once(seed: int, width: int) -> None:
    found = sweep(*problem(seed), width=width)

    assert sorted(found.order) == list(range(8 // width))
    assert found.errors[0] == 0.0
    assert (np.diff(found.errors) >= 0).all()


def test_leaving_out_what_is_removed_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, hessian = problem(3, inputs=24)
    compacted = sweep(weight, hessian, width=2)
    monkeypatch.setattr(brain_surgeon, "_COMPACT_BLOCKS_AT", 0.0)

    whole = sweep(weight, hessian, width=2)

    assert whole.order == compacted.order
    assert whole.errors == pytest.approx(compacted.errors)


def test_neither_weight_nor_hessian_is_changed() -> None:
    weight, hessian = problem(1)
    before = weight.clone(), hessian.clone()

    sweep(weight, hessian, width=2)

    assert torch.equal(weight, before[0])
    assert torch.equal(hessian, before[1])


def test_more_dimensions_than_tokens_are_no_problem() -> None:
    x = torch.randn(3, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    found = sweep(torch.ones(4, 16), x.T @ x)

    assert np.isfinite(found.errors).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="do not fit units of 3 columns"):
        sweep(torch.ones(2, 8), torch.eye(8), width=3)
    with pytest.raises(PassError, match="not finite"):
        sweep(torch.ones(2, 8), torch.full((8, 8), torch.nan))
    with pytest.raises(PassError, match="no positive definite Hessian"):
        sweep(torch.ones(2, 8), -torch.eye(8) + 2)
    with pytest.raises(UsageError, match=r"within 0\.\.8, got 9"):
        sweep(*problem(0)).kept(9)


def well_conditioned(seed: int, inputs: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
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
    weights, inverse = well_conditioned(seed, inputs, outputs)
    order, costs = one_by_one(weights, inverse)

    found = remove_columns(weights, inverse.clone(), pending=pending)

    assert found[0] == order
    assert np.cumsum(found[1]) == pytest.approx(np.cumsum(costs), rel=1e-8)


def test_it_holds_over_several_products_of_the_usual_size() -> None:
    weights, inverse = well_conditioned(0, 5 * PENDING // 2, 32)
    order, costs = one_by_one(weights, inverse)

    found = remove_columns(weights, inverse.clone())

    assert found[0] == order
    assert found[1] == pytest.approx(costs, rel=1e-8)


def test_no_columns_are_no_problem() -> None:
    empty = torch.zeros(0, 0, dtype=torch.float64)

    assert remove_columns(torch.zeros(4, 0, dtype=torch.float64), empty) == ([], [])
