"""AWQ: gives the input channels that matter most finer steps.

Each input channel j of a weight is multiplied by ``s_j`` before rounding and its input is divided
by it, which changes nothing but where the error of rounding falls::

    y = W x = (W diag(s)) (x / s)        s_j = m_j^alpha, scaled to a geometric mean of 1

with ``m_j`` the root mean square of the channel's input. A large ``s_j`` makes the error of that
channel small, and the range of its block larger, which coarsens the others: alpha is searched from
0 (nothing is scaled) to 1 for the least ``trace(D H D^T)`` of what is stored, so that the result is
never worse than without. The published search runs the texts for every candidate; the second
moments of the inputs give the same figure without. The division stays in the graph as one
multiplication: after a LayerNorm whose output also feeds the residual it can't be folded away.

Source: Lin et al. 2023, AWQ, arXiv:2306.00978.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bertcompress.numerics.block_grids import least_squares_grid
from bertcompress.numerics.blocks import BlockFormat, BlockWeights, Floats, dequantized, nearest
from bertcompress.numerics.gptq import Matrix, hessian_error

ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_RANGE = 1e2
"""Channels are scaled by this at most, and its inverse at least."""


def awq(
    weight: Floats, format_: BlockFormat, magnitude: NDArray[np.floating], hessian: Matrix
) -> tuple[BlockWeights, Floats]:
    """Rounds a weight with scaled input channels.

    Args:
        weight: ``[rows, columns]``.
        format_: How it is stored.
        magnitude: The root mean square of each input channel, ``[columns]``, 0 or more.
        hessian: Second moments of the inputs, ``[columns, columns]``.

    Returns:
        The rounded ``W diag(s)``, and ``s``, float32 ``[columns]``.
    """
    tried = []
    for alpha in ALPHAS:
        scales = channel_scales(magnitude, alpha)
        costs = np.diagonal(hessian) / scales.astype(np.float64) ** 2
        scaled = weight * scales
        rounded = nearest(scaled, least_squares_grid(scaled, format_, costs))
        error = hessian_error(weight - dequantized(rounded) / scales, hessian)
        tried.append((error, rounded, scales))
    _, rounded, scales = min(tried, key=lambda one: one[0])
    return rounded, scales


def channel_scales(magnitude: NDArray[np.floating], alpha: float) -> Floats:
    """Returns ``magnitude^alpha`` over its geometric mean, float32; 1 for silent channels."""
    logarithm = np.log(np.where(magnitude > 0, magnitude, 1.0))
    heard = magnitude > 0
    centre = float(logarithm[heard].mean()) if heard.any() else 0.0
    scales = np.exp(alpha * np.where(heard, logarithm - centre, 0.0))
    return np.clip(scales, 1 / _RANGE, _RANGE).astype(np.float32)
