"""Least squares from sums: against NumPy's own, and never worse than the start."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.errors import PassError
from bertcompress.numerics.moments import Moments, Residuals

seeds = st.integers(0, 10_000)


def rows(seed: int, count: int = 40) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=generator, dtype=torch.float64) + 0.5
    y = torch.randn(count, 4, generator=generator, dtype=torch.float64) - 1.0
    return x, y, torch.rand(count, generator=generator, dtype=torch.float64)


def filled(x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor, *, parts: int = 3) -> Moments:
    moments = Moments(x.shape[1], y.shape[1])
    for part in zip(x.chunk(parts), y.chunk(parts), weights.chunk(parts), strict=True):
        moments.add(*part)
    return moments


def error(
    x: torch.Tensor,
    y: torch.Tensor,
    weights: torch.Tensor,
    *maps: tuple[torch.Tensor, torch.Tensor],
) -> tuple[float, ...]:
    residuals = Residuals(*maps)
    for part in zip(x.chunk(3), y.chunk(3), weights.chunk(3), strict=True):
        residuals.add(*part)
    return residuals.means()


@given(seeds)
def test_without_damping_it_is_weighted_least_squares(seed: int) -> None:
    x, y, weights = rows(seed)
    scale = weights.sqrt()[:, None].numpy()
    wide = np.hstack([x.numpy(), np.ones((len(x), 1))])
    expected, *_ = np.linalg.lstsq(wide * scale, y.numpy() * scale, rcond=None)

    weight, bias = filled(x, y, weights).fit(torch.zeros(4, 6), damping=0.0)

    assert weight.numpy() == pytest.approx(expected[:-1].T, abs=1e-8)
    assert bias.numpy() == pytest.approx(expected[-1], abs=1e-8)


@given(seeds, st.floats(0.0, 1.0))
def test_the_fit_is_never_worse_than_the_start_with_any_bias(seed: int, damping: float) -> None:
    x, y, weights = rows(seed)
    moments = filled(x, y, weights)
    generator = torch.Generator().manual_seed(seed + 1)
    start = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    shift = torch.randn(4, generator=generator, dtype=torch.float64)
    shares = weights.double() / weights.double().sum()
    mean_error = shares @ (y.double() - x.double() @ start.T)  # the best bias beside the start

    fitted, best_bias, any_bias = error(
        x,
        y,
        weights,
        moments.fit(start, damping=damping),
        (start, mean_error),
        (start, shift),
    )

    assert fitted <= best_bias + 1e-9
    assert fitted <= any_bias + 1e-9


@given(seeds)
def test_the_error_is_that_of_the_rows(seed: int) -> None:
    x, y, weights = rows(seed)
    weight, bias = torch.ones(4, 6, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)

    [found] = error(x, y, weights, (weight, bias))

    squares = (x @ weight.T + bias - y).square().sum(dim=1)
    assert found == pytest.approx(float((weights * squares).sum() / weights.sum()))


def test_strong_damping_keeps_the_start() -> None:
    start = torch.full((4, 6), 0.25)

    weight, _ = filled(*rows(0)).fit(start, damping=1e9)

    assert weight.numpy() == pytest.approx(start.numpy(), abs=1e-6)


def test_without_inputs_the_bias_is_the_mean() -> None:
    x, y, weights = rows(2)

    weight, bias = filled(x[:, :0], y, weights).fit(torch.zeros(4, 0))

    assert weight.shape == (4, 0)
    expected = (y * weights[:, None]).sum(dim=0) / weights.sum()
    assert bias.numpy() == pytest.approx(expected.numpy())


def test_no_rows_and_broken_rows_are_errors() -> None:
    with pytest.raises(PassError, match="at least one row"):
        Moments(2, 2).fit(torch.zeros(2, 2))
    with pytest.raises(PassError, match="at least one row"):
        Residuals((torch.zeros(2, 2), torch.zeros(2))).means()
    with pytest.raises(PassError, match="not finite"):
        Moments(1, 1).add(torch.tensor([[torch.inf]]), torch.ones(1, 1), torch.ones(1))
