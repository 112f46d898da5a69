"""Where a block's steps lie: scales and zero points of the least error, without data.

The range from the smallest to the largest weight is seldom the best: one large weight makes all
steps of its block coarse. Both methods here start from the best of some ranges (`REACHES`) and
descend; both keep, for each block, the best that they met, so neither is ever worse than the range.

**Least squares** (`least_squares_grid`) minimises ``sum_j c_j (w_j - w'_j)^2``, with a cost ``c_j``
of each column where there are data (the mean square of its input), else 1. For fixed integers the
best scale has a closed form, and so has the best zero point::

    scale = sum c w (q - z) / sum c (q - z)^2        z = sum c (q - w / scale) / sum c

after either the integers are rounded anew; every step lowers the error or is not taken.

**HQQ** (`hqq_grid`) minimises ``sum_j |w_j - w'_j|^p`` with p = 0.7, which lets a few large weights
be wrong. With an auxiliary error e the half-quadratic form ``|e|^p + beta/2 (w - w' - e)^2`` is
minimised in turns: e by the generalised soft threshold, the zero point by a mean::

    e = sign(d) max(0, |d| - p/beta |d|^(p - 1)),  d = w - w'        z = mean(q - (w - e) / scale)

while beta grows. Published HQQ moves a zero point in float and leaves the scale alone. Here the
zero point is an integer, since it is stored in 4 bits, and a small move of it is none; so the scale
moves too, to the least squares of ``w - e``.

Source: Badri and Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models",
https://mobiusml.github.io/hqq_blog/; least squares over scales: Lin et al. 2016, arXiv:1511.06393.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bertcompress.numerics.blocks import (
    BlockFormat,
    BlockGrid,
    Floats,
    in_blocks,
    minmax_grid,
    stored_scales,
    stored_zero_points,
)

REACHES = (0.92, 0.84, 0.76, 0.68)
"""Parts of the range that a descent may start from, beside the whole."""

ROUNDS = 6
P_NORM = 0.7
_BETA, _BETA_GROWTH = 10.0, 1.01
_ROWS = 2048
"""Rows that are worked on at once: what a descent holds is a few times as large."""

Errors = Callable[[Floats, Floats], Floats]
"""From blocks and what they became, ``[rows, blocks, block_size]``, each block's error."""
Move = Callable[[Floats, BlockGrid, int], BlockGrid]
"""From blocks, a grid and the round's number another grid."""


def least_squares_grid(
    weight: Floats, format_: BlockFormat, costs: NDArray[np.floating] | None = None
) -> BlockGrid:
    """Returns a grid whose summed squared error is small, and never above the whole range's.

    Args:
        weight: ``[rows, columns]``.
        format_: How it is stored.
        costs: What an error in each column costs, ``[columns]``, 0 or more; None for all the same.
    """
    columns = np.ones(weight.shape[1]) if costs is None else np.asarray(costs)
    each = in_blocks(columns[None].astype(np.float32), format_.block_size)

    def errors(blocks: Floats, became: Floats) -> Floats:
        return np.asarray((each * (blocks - became) ** 2).sum(axis=2))

    def move(blocks: Floats, grid: BlockGrid, at: int) -> BlockGrid:
        offsets = _offsets(blocks, grid)
        if not format_.symmetric and at % 2:
            return _shifted(blocks, blocks, grid, each)
        return _rescaled(blocks, offsets, grid, each)

    return _descend(weight, format_, errors, move)


def hqq_grid(weight: Floats, format_: BlockFormat) -> BlockGrid:
    """Returns a grid whose summed ``|error|^p`` is small, and never above the whole range's.

    Args:
        weight: ``[rows, columns]``.
        format_: How it is stored.
    """
    each = in_blocks(np.ones((1, weight.shape[1]), dtype=np.float32), format_.block_size)

    def move(blocks: Floats, grid: BlockGrid, at: int) -> BlockGrid:
        offsets = _offsets(blocks, grid)
        distance = blocks - offsets * grid.scales[:, :, None]
        aim = blocks - _shrunk(distance, _BETA * _BETA_GROWTH**at)
        if format_.symmetric or not at % 2:
            return _rescaled(aim, offsets, grid, each)
        return _shifted(blocks, aim, grid, each)

    return _descend(weight, format_, p_errors, move)


def p_errors(blocks: Floats, became: Floats) -> Floats:
    """Returns ``sum |error|^p`` of each block."""
    return np.asarray((np.abs(blocks - became) ** np.float32(P_NORM)).sum(axis=2))


def _descend(weight: Floats, format_: BlockFormat, errors: Errors, move: Move) -> BlockGrid:
    parts = [
        _descend_rows(weight[start : start + _ROWS], format_, errors, move)
        for start in range(0, max(len(weight), 1), _ROWS)
    ]
    return BlockGrid(
        format_,
        np.concatenate([part.scales for part in parts]),
        np.concatenate([part.zero_points for part in parts]),
    )


def _descend_rows(weight: Floats, format_: BlockFormat, errors: Errors, move: Move) -> BlockGrid:
    blocks = in_blocks(weight, format_.block_size)
    best = minmax_grid(weight, format_)
    least = errors(blocks, _became(blocks, best))
    for reach in REACHES:
        grid = minmax_grid(weight, format_, reach=reach)
        best, least = _better(best, least, grid, errors(blocks, _became(blocks, grid)))
    for at in range(ROUNDS):
        grid = move(blocks, best, at)
        best, least = _better(best, least, grid, errors(blocks, _became(blocks, grid)))
    return best


def _better(
    best: BlockGrid, least: Floats, other: BlockGrid, error: Floats
) -> tuple[BlockGrid, Floats]:
    """Takes each block from the grid where its error is less."""
    taken = error < least
    merged = BlockGrid(
        best.format,
        np.where(taken, other.scales, best.scales),
        np.where(taken, other.zero_points, best.zero_points),
    )
    return merged, np.where(taken, error, least)


def _offsets(blocks: Floats, grid: BlockGrid) -> Floats:
    """Returns the nearest steps less the zero point, ``[rows, blocks, block_size]``."""
    zero_points = grid.zero_points[:, :, None].astype(np.float32)
    steps = np.rint(blocks / grid.scales[:, :, None])
    return np.asarray(np.clip(steps, -zero_points, grid.format.largest - zero_points))


def _became(blocks: Floats, grid: BlockGrid) -> Floats:
    return _offsets(blocks, grid) * grid.scales[:, :, None]


def _rescaled(aim: Floats, offsets: Floats, grid: BlockGrid, each: Floats) -> BlockGrid:
    """Moves the scales to the least squares of the aim over the offsets."""
    top, bottom = (each * aim * offsets).sum(axis=2), (each * offsets**2).sum(axis=2)
    scales = np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1), grid.scales)
    return BlockGrid(grid.format, stored_scales(scales), grid.zero_points)


def _shifted(blocks: Floats, aim: Floats, grid: BlockGrid, each: Floats) -> BlockGrid:
    """Moves the zero points to the weighted mean of what the offsets miss."""
    integers = _offsets(blocks, grid) + grid.zero_points[:, :, None]
    total = np.broadcast_to(each.sum(axis=2), grid.scales.shape)
    missing = (each * (integers - aim / grid.scales[:, :, None])).sum(axis=2)
    shifted = np.where(total > 0, missing / np.where(total > 0, total, 1), grid.zero_points)
    return BlockGrid(grid.format, grid.scales, stored_zero_points(shifted, grid.format))


def _shrunk(distance: Floats, beta: float) -> Floats:
    """The generalised soft threshold of the p-norm."""
    size = np.abs(distance)
    with np.errstate(divide="ignore"):
        cut = np.float32(P_NORM / beta) * size ** np.float32(P_NORM - 1)
    return np.asarray(np.sign(distance) * np.maximum(0, size - cut))
