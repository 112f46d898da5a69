"""Fake quantization in torch: the numbers of numpy and ONNX Runtime, and the gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from torch import Tensor

from bertcompress.numerics.affine import (
    choose_asymmetric_u8,
    choose_symmetric_s8,
    dequantize,
    quantize_s8,
    quantize_u8,
)
from bertcompress.numerics.blocks import BlockFormat, dequantized, minmax_grid, nearest
from bertcompress.numerics.granularity import PerAxis
from bertcompress.train.fake_quant import RANGE_RATE, InputRange, round_blocks, round_rows

Floats = NDArray[np.float32]
NUMBERS = st.floats(-1e4, 1e4, width=32)
ENDS = st.tuples(NUMBERS, NUMBERS).map(sorted)
MATRICES = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=70), elements=NUMBERS
)


@given(MATRICES, ENDS)
def test_activations_are_the_numbers_that_the_integers_stand_for(
    values: Floats, ends: list[float]
) -> None:
    scale, zero_point = choose_asymmetric_u8(*ends)
    expected = dequantize(quantize_u8(values, scale, zero_point), scale, zero_point)

    got = InputRange(*ends)(torch.from_numpy(values)).detach().numpy()

    np.testing.assert_array_equal(got, expected)


@given(MATRICES)
def test_rows_are_the_numbers_that_the_integers_stand_for(weight: Floats) -> None:
    scale = choose_symmetric_s8(weight, PerAxis(0))
    expected = dequantize(quantize_s8(weight, scale, PerAxis(0)), scale, 0, PerAxis(0))

    np.testing.assert_array_equal(round_rows(torch.from_numpy(weight)).numpy(), expected)


FORMATS = [BlockFormat(4, 16), BlockFormat(4, 32, symmetric=False), BlockFormat(8, 128)]


@pytest.mark.parametrize("format_", FORMATS, ids=str)
@given(weight=MATRICES)
def test_blocks_are_the_numbers_that_the_integers_stand_for(
    weight: Floats, format_: BlockFormat
) -> None:
    expected = dequantized(nearest(weight, minmax_grid(weight, format_)))

    got = round_blocks(torch.from_numpy(weight), format_).numpy()

    np.testing.assert_array_equal(got, expected)


@given(MATRICES, ENDS)
def test_rounding_again_changes_nothing(values: Floats, ends: list[float]) -> None:
    tensor, inputs = torch.from_numpy(values), InputRange(*ends)

    for rounding in (inputs, round_rows):
        once = rounding(tensor).detach()
        torch.testing.assert_close(rounding(once).detach(), once, rtol=1e-6, atol=0)


def reference(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Returns fake quantization spelled out, for autograd to find the gradients of."""

    def straight(number: Tensor, rounded: Tensor | float) -> Tensor:
        return number + (rounded - number).detach()

    exact = choose_asymmetric_u8(low.item(), high.item())
    scale = straight((high - low) / 255, float(exact[0]))
    zero_point = straight(-low / scale, float(exact[1]))
    steps = values / scale
    clamped = torch.clamp(straight(steps, steps.round()) + zero_point, 0, 255)
    return (clamped - zero_point) * scale


@given(st.integers(0, 10_000), st.floats(-3, -0.1), st.floats(0.1, 3))
def test_gradients_are_those_of_the_formula_spelled_out(seed: int, low: float, high: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(4, 50, generator=generator).requires_grad_()
    towards = torch.randn(4, 50, generator=generator)
    inputs = InputRange(low, high)
    ends = inputs.calibrated.clone().requires_grad_()

    (inputs(values) * towards).sum().backward()
    own, values.grad = values.grad, None
    (reference(values, ends[0], ends[1]) * towards).sum().backward()

    assert own is not None
    assert values.grad is not None
    assert ends.grad is not None
    torch.testing.assert_close(own, values.grad)
    expected = ends.grad * inputs.calibrated * RANGE_RATE  # ends = calibrated * exp(rate * stretch)
    torch.testing.assert_close(inputs.stretch.grad, expected, rtol=1e-3, atol=2e-2)


def test_weights_get_the_gradient_of_what_replaced_them() -> None:
    weight = torch.randn(3, 40, generator=torch.Generator().manual_seed(0)).requires_grad_()
    towards = torch.arange(120.0).reshape(3, 40)

    for rounded in (round_rows(weight), round_blocks(weight, FORMATS[0])):
        weight.grad = None
        (rounded * towards).sum().backward()
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, towards)


def test_a_range_that_is_too_wide_shrinks_to_the_values() -> None:
    values = torch.rand(4_000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    inputs = InputRange(-8.0, 8.0)
    optimizer = torch.optim.Adam(inputs.parameters(), lr=2e-3)

    def error() -> Tensor:
        return (inputs(values) - values).square().mean()

    before = float(error().detach())
    for _ in range(120):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()

    low, high = inputs.ends().tolist()
    assert float(error().detach()) < before / 4
    assert -2.5 < low < -0.9
    assert 0.9 < high < 2.5


def test_a_range_without_width_stays_zero() -> None:
    inputs = InputRange(0.0, 0.0)
    values = torch.tensor([0.0, 0.3], requires_grad=True)

    inputs(values).sum().backward()

    assert inputs.ends().tolist() == [0.0, 0.0]
    assert inputs.stretch.grad is not None
    assert all(math.isclose(one, 0.0) for one in inputs.stretch.grad.tolist())
