"""How one weight becomes blocks: the grid, the rounding, and what the bias makes up for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcompress.numerics.awq import awq
from bertcompress.numerics.block_grids import hqq_grid, least_squares_grid
from bertcompress.numerics.blocks import (
    BlockFormat,
    BlockWeights,
    Floats,
    dequantized,
    minmax_grid,
    nearest,
)
from bertcompress.numerics.gptq import Matrix, damped, gptq, hessian_error, swept
from bertcompress.passes.quantize.input_statistics import InputStatistics

WITHOUT_DATA = ("rtn", "mse", "hqq")
"""The nearest step: of the whole range, of the range of least squared error, of that of HQQ."""

WITH_DATA = ("awq", "gptq")
ROUNDINGS = (*WITHOUT_DATA, *WITH_DATA)

_PAYS = 0.9
"""Zero points are stored where they lower the squared error to this part of it, or below."""
_ROWS_TRIED = 2048


@dataclass(frozen=True)
class Rounded:
    """A weight ``[out, in]`` in blocks.

    Attributes:
        weights: The blocks.
        divisors: What each input channel is divided by first, float32 ``[in]``; None for nothing.
        bias_change: What is added to the bias, float64 ``[out]``; None where nothing is known of
            the inputs.
    """

    weights: BlockWeights
    divisors: Floats | None = None
    bias_change: NDArray[np.float64] | None = None

    @property
    def became(self) -> Floats:
        """The weight that they stand for, float32 ``[out, in]``."""
        values = dequantized(self.weights)
        return values if self.divisors is None else values / self.divisors


def format_for(weight: Floats, *, bits: int, block_size: int) -> BlockFormat:
    """Returns the format with zero points where they pay, without where not.

    Args:
        weight: ``[rows, columns]``; of a long one some rows are looked at.
        bits: 4 or 8.
        block_size: Columns that share a scale.
    """
    rows = weight[:: max(1, len(weight) // _ROWS_TRIED)]
    errors = {}
    for symmetric in (True, False):
        one = BlockFormat(bits, block_size, symmetric)
        became = dequantized(nearest(rows, least_squares_grid(rows, one)))
        errors[symmetric] = float(((rows - became) ** 2).sum())
    return BlockFormat(bits, block_size, not errors[False] < _PAYS * errors[True])


def round_weight(weight: Floats, format_: BlockFormat, rounding: str) -> BlockWeights:
    """Rounds a weight ``[rows, columns]`` without data; those that need some are as ``mse``."""
    if rounding == "rtn":
        return nearest(weight, minmax_grid(weight, format_))
    if rounding == "hqq":
        return nearest(weight, hqq_grid(weight, format_))
    return nearest(weight, least_squares_grid(weight, format_))


def round_product(
    weight: Floats,
    format_: BlockFormat,
    rounding: str,
    *,
    inputs: InputStatistics | None,
    has_bias: bool,
) -> Rounded:
    """Rounds a product's weight.

    Args:
        weight: ``[out, in]``.
        format_: How it is stored.
        rounding: A name in `ROUNDINGS`; `WITH_DATA` need `inputs`.
        inputs: What goes in; if known, the bias makes up for the mean of the error.
        has_bias: Whether there is a bias to change.
    """
    if inputs is None:
        return Rounded(round_weight(weight, format_, rounding))
    hessian = hessian_of(inputs, has_bias=has_bias)
    divisors = None
    if rounding == "awq":
        moments = np.diagonal(inputs.covariance) + inputs.mean**2
        rounded, divisors = awq(weight, format_, np.sqrt(moments), hessian)
    elif rounding == "gptq":
        strong = damped(hessian)
        grid = least_squares_grid(weight, format_)
        rounded = swept(weight, gptq(weight, grid, hessian), strong)
    else:
        rounded = round_weight(weight, format_, rounding)
    found = Rounded(rounded, divisors)
    change = (weight - found.became).astype(np.float64) @ inputs.mean if has_bias else None
    return Rounded(rounded, divisors, change)


def hessian_of(inputs: InputStatistics, *, has_bias: bool) -> Matrix:
    """Returns what an error of the weight costs: a bias takes the mean's part."""
    if has_bias:
        return inputs.covariance
    return inputs.covariance + np.outer(inputs.mean, inputs.mean)


def output_error(
    weight: Floats, rounded: Rounded, *, inputs: InputStatistics, has_bias: bool
) -> float:
    """Returns the mean squared error of the product's outputs, summed over them."""
    return hessian_error(weight - rounded.became, hessian_of(inputs, has_bias=has_bias))
