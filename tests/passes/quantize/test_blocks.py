"""One weight: zero points where they pay, each rounding in its own measure, the bias after."""

from __future__ import annotations

import numpy as np
import pytest

from bertcompress.numerics.blocks import BlockFormat, Floats
from bertcompress.numerics.gptq import hessian_error
from bertcompress.passes.quantize.blocks import (
    Rounded,
    format_for,
    hessian_of,
    round_product,
    round_weight,
)
from bertcompress.passes.quantize.input_statistics import InputStatistics

FORMAT = BlockFormat(4, 32)


def problem(seed: int = 0) -> tuple[np.ndarray, np.ndarray, InputStatistics]:
    """Gives a weight, inputs of a mean far from 0, and their statistics."""
    generator = np.random.default_rng(seed)
    weight = generator.normal(size=(16, 64)).astype(np.float32)
    x = generator.normal(size=(400, 8)) @ generator.normal(size=(8, 64)) + 2.0
    x += 0.2 * generator.normal(size=x.shape)
    return weight, x, InputStatistics(x.mean(axis=0), np.cov(x.T, bias=True))


def output_error(
    weight: Floats, rounded: Rounded, *, inputs: InputStatistics, has_bias: bool
) -> float:
    """Gives the mean squared error of the product's outputs, summed over them."""
    return hessian_error(weight - rounded.became, hessian_of(inputs, has_bias=has_bias))


@pytest.mark.parametrize("rounding", ["rtn", "mse", "hqq", "awq", "gptq"])
@pytest.mark.parametrize("has_bias", [True, False])
def test_the_error_is_that_of_the_outputs_with_the_new_bias(rounding: str, has_bias: bool) -> None:
    weight, x, inputs = problem()
    found = round_product(weight, FORMAT, rounding, inputs=inputs, has_bias=has_bias)

    assert (found.bias_change is not None) == has_bias
    change = 0.0 if found.bias_change is None else found.bias_change
    difference = x @ weight.T - (x @ found.became.T + change)
    measured = (difference**2).sum(axis=1).mean()
    assert output_error(weight, found, inputs=inputs, has_bias=has_bias) == pytest.approx(
        measured, rel=1e-4
    )
    if has_bias:
        np.testing.assert_allclose(difference.mean(axis=0), 0, atol=1e-4)


def test_data_make_outputs_nearer() -> None:
    errors = {}
    for rounding in ("rtn", "awq", "gptq"):
        found = []
        for seed in range(5):
            weight, _, inputs = problem(seed)
            rounded = round_product(weight, FORMAT, rounding, inputs=inputs, has_bias=True)
            found.append(output_error(weight, rounded, inputs=inputs, has_bias=True))
        errors[rounding] = np.mean(found)
    assert errors["gptq"] < 0.5 * errors["awq"] < 0.5 * errors["rtn"]


def test_without_inputs_there_is_no_bias_to_change() -> None:
    weight, _, _ = problem()
    found = round_product(weight, FORMAT, "gptq", inputs=None, has_bias=True)
    assert found.bias_change is None
    np.testing.assert_array_equal(
        found.weights.integers, round_weight(weight, FORMAT, "mse").integers
    )


def test_divided_channels_are_part_of_what_it_became() -> None:
    weight, _, _ = problem()
    blocks = round_weight(weight * 2, FORMAT, "rtn")
    twos = np.full(64, 2, dtype=np.float32)
    np.testing.assert_allclose(Rounded(blocks, twos).became, Rounded(blocks).became / 2, rtol=1e-6)


def test_without_a_bias_the_mean_counts() -> None:
    inputs = InputStatistics(np.array([3.0, 0.0]), np.eye(2))
    assert hessian_of(inputs, has_bias=True).tolist() == [[1, 0], [0, 1]]
    assert hessian_of(inputs, has_bias=False).tolist() == [[10, 0], [0, 1]]


def test_zero_points_are_stored_where_they_pay() -> None:
    generator = np.random.default_rng(0)
    even = generator.choice([-1.0, 1.0], (64, 64)).astype(np.float32)
    shifted = generator.uniform(0, 1, (64, 64)).astype(np.float32)
    assert format_for(shifted, bits=4, block_size=32) == BlockFormat(4, 32, symmetric=False)
    assert format_for(even, bits=4, block_size=32) == BlockFormat(4, 32, symmetric=True)
