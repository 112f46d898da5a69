"""Which units cost the least to remove when all others make up for them: optimal brain surgeon.

For one output projection with weight ``W`` ``[outputs, inputs]``, inputs ``x_t`` of real tokens and
a weight ``w_t`` for each token, ``H = sum_t w_t x_t x_t^T / sum_t w_t``. Removing the input columns
``S`` and changing the others for the best adds to the weighted squared error of the output::

    rho_S = trace(W_S (H^-1)_SS^-1 W_S^T)

and the remaining columns, and the inverse of what is left of ``H``, become::

    W    <- W    - W_S (H^-1)_SS^-1 (H^-1)_S:
    H^-1 <- H^-1 - (H^-1)_:S (H^-1)_SS^-1 (H^-1)_S:

The errors of one removal after the other add up exactly, so one sweep that always takes the
cheapest unit gives the cost of *every* number of units. Units are blocks of several columns (heads)
or single columns (neurons). Of these there are many, so the updates of the matrices are put off. A
sweep needs of each remaining column ``j`` the cost ``|w_j|^2 / (H^-1)_jj``, and takes the cheapest
column ``p``. With ``r`` the row ``p`` of ``A = H^-1``, ``d = r_p`` and ``a = r / d``, what is left
of weight and inverse is ``W - w_p a^T`` and ``A - d a a^T``. The costs need of the weights only the
diagonal of ``G = W^T W``, and with ``g`` its row ``p`` and ``h = g - g_p / 2 * a``::

    A <- A - u u^T                u = a sqrt(d)
    G <- G - u v^T - v u^T        v = h / sqrt(d)

Done at once, each removal reads and writes both matrices: ``n^3`` numbers in all, bound by memory.
So we keep the matrices as they were and up to `PENDING` pairs ``u, v`` beside them. A removal needs
one row of each matrix, which is the old row less a small product, and both diagonals, which are
kept up to date. When the pairs are too many, one matrix product does all updates, and columns that
are gone are left out. The result is that of the plain algorithm, up to rounding.

Sources: Hassibi and Stork 1992, "Second order derivatives for network pruning: optimal brain
surgeon"; Frantar and Alistarh 2022, arXiv:2208.11580 (layer-wise, with H of the inputs); Kurtic,
Frantar and Alistarh 2023, arXiv:2302.04089, section 3.1 (structures, all levels in one sweep). The
put-off updates are those of blocked factorisations, e.g. Golub and Van Loan, Matrix Computations,
section 3.2.11, and of GPTQ, Frantar et al. 2022, arXiv:2210.17323, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import PassError, UsageError

if TYPE_CHECKING:
    import torch

DAMPING = 0.01
"""Added to the diagonal of H, in its mean; as in GPTQ and its successors."""
PENDING = 64
"""The most updates that are put off."""
_COMPACT_BLOCKS_AT, _COMPACT_COLUMNS_AT = 0.75, 0.9
"""Matrices are made smaller where less than this part of their units is left."""


@dataclass(frozen=True)
class Sweep:
    """The removal of all units of one sub-layer, the cheapest first.

    Attributes:
        order: The units in the order of their removal.
        errors: ``errors[k]`` is the output's squared error with `k` units removed, float64
            ``[units + 1]``; it starts at 0 and never falls.
        unit_errors: The error that removing each unit alone gives, float64 ``[units]``.
    """

    order: tuple[int, ...]
    errors: NDArray[np.float64]
    unit_errors: NDArray[np.float64]

    def kept(self, count: int) -> tuple[int, ...]:
        """Returns the `count` units that are removed last, rising."""
        if not 0 <= count <= len(self.order):
            raise UsageError(f"count must be within 0..{len(self.order)}, got {count}")
        return tuple(sorted(self.order[len(self.order) - count :]))


def sweep(
    weight: torch.Tensor, hessian: torch.Tensor, *, width: int = 1, damping: float = DAMPING
) -> Sweep:
    """Removes unit after unit.

    Args:
        weight: ``[outputs, units * width]``; rows may be scaled by the square root of what an error
            of that output costs.
        hessian: Symmetric, positive semidefinite, ``[units * width, units * width]``.
        width: Input columns of a unit: the head size, or 1 for a neuron.
        damping: Added to the diagonal, in means of the diagonal.

    Returns:
        The order and the errors, computed in float64.

    Raises:
        UsageError: If the shapes do not fit.
        PassError: If the Hessian is not finite, or far from positive semidefinite.
    """
    inputs = weight.shape[1]
    if inputs % width or hessian.shape != (inputs, inputs):
        raise UsageError(
            f"a weight of {inputs} inputs and a Hessian of {tuple(hessian.shape)} do not fit units "
            f"of {width} columns"
        )
    weights = weight.detach().double().clone()
    weights[:, hessian.diagonal() == 0] = 0.0
    inverse = damped_inverse(hessian, damping)
    unit_errors = _costs(weights, inverse, width).clamp_min(0.0).numpy()
    order, costs = (
        remove_columns(weights, inverse) if width == 1 else _remove_all(weights, inverse, width)
    )
    return Sweep(tuple(order), np.cumsum([0.0, *costs]), unit_errors)


def costs_of_each(
    weight: torch.Tensor, hessian: torch.Tensor, *, width: int = 1
) -> NDArray[np.float64]:
    """Returns what removing each unit alone costs, float64 ``[units]``; arguments as in `sweep`."""
    costs = _costs(weight.detach().double(), damped_inverse(hessian, DAMPING), width)
    each: NDArray[np.float64] = costs.clamp_min(0.0).numpy()
    return each


def damped_inverse(matrix: torch.Tensor, damping: float) -> torch.Tensor:
    """Returns ``(matrix + damping * mean(diag) * I)^-1``, float64, by Cholesky.

    Raises:
        PassError: If the matrix is not finite, or far from positive semidefinite.
    """
    import torch

    base = matrix.detach().double()
    if not bool(torch.isfinite(base).all()):
        raise PassError("the calibration activations are not finite; the model's weights overflow")
    mean = float(base.diagonal().mean()) or 1.0
    for factor in (1.0, 10.0):
        damped = base.clone()
        damped.diagonal().add_(damping * factor * mean)
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not int(failed):
            return torch.cholesky_inverse(lower)
    raise PassError("the calibration activations give no positive definite Hessian; add examples")


def _remove_all(
    weights: torch.Tensor, inverse: torch.Tensor, width: int
) -> tuple[list[int], list[float]]:
    """Removes block after block, the cheapest first; overwrites both."""
    import torch

    units = torch.arange(weights.shape[1] // width)
    alive = torch.ones(len(units), dtype=torch.bool)
    order, added = [], []
    while alive.any():
        costs = _costs(weights, inverse, width)
        costs[~alive] = torch.inf
        chosen = int(costs.argmin())
        order.append(int(units[chosen]))
        added.append(max(0.0, float(costs[chosen])))
        alive[chosen] = False
        _remove(weights, inverse, slice(chosen * width, (chosen + 1) * width))
        if alive.sum() < _COMPACT_BLOCKS_AT * len(alive) and alive.any():
            stay = alive.repeat_interleave(width)
            weights, inverse = weights[:, stay].contiguous(), inverse[stay][:, stay].contiguous()
            units, alive = units[alive], alive[alive]
    return order, added


def _costs(weights: torch.Tensor, inverse: torch.Tensor, width: int) -> torch.Tensor:
    """Returns each block's cost, ``[units]``."""
    import torch

    if width == 1:
        return weights.square().sum(dim=0) / inverse.diagonal().clamp_min(1e-300)
    count = weights.shape[1] // width
    blocks = weights.reshape(weights.shape[0], count, width)
    diagonal = torch.stack(
        [inverse[s : s + width, s : s + width] for s in range(0, count * width, width)]
    )
    solved: torch.Tensor = torch.linalg.solve(
        diagonal, blocks.permute(1, 2, 0)
    )  # [units, width, outputs]
    return (blocks.permute(1, 2, 0) * solved).sum(dim=(1, 2))


def _remove(weights: torch.Tensor, inverse: torch.Tensor, columns: slice) -> None:
    """Takes a unit out of both, in place; its own block becomes the identity, its weights 0."""
    import torch

    width = columns.stop - columns.start
    rows = inverse[columns].clone()  # [width, inputs]
    solved = torch.linalg.solve(rows[:, columns], rows)  # [width, inputs]
    weights.addmm_(weights[:, columns].clone(), solved, alpha=-1.0)
    inverse.addmm_(rows.T, solved, alpha=-1.0)
    weights[:, columns] = 0.0
    inverse[columns] = 0.0
    inverse[:, columns] = 0.0
    inverse[columns, columns] = torch.eye(width, dtype=inverse.dtype)


def remove_columns(
    weights: torch.Tensor, inverse: torch.Tensor, *, pending: int = PENDING
) -> tuple[list[int], list[float]]:
    """Removes column after column, the cheapest first.

    Args:
        weights: ``[outputs, inputs]``, float64.
        inverse: ``H^-1``, ``[inputs, inputs]``, float64; is overwritten.
        pending: How many updates are put off, 1 or more.

    Returns:
        The columns in the order of their removal, and what each added to the squared error.
    """
    matrices = _Matrices(inverse, weights.T @ weights, pending)
    order, costs = [], []
    for _ in range(weights.shape[1]):
        column, cost = matrices.remove_cheapest()
        order.append(column)
        costs.append(cost)
    return order, costs


class _Matrices:
    """What is left of inverse and Gram matrix, with the updates that are put off.

    Args:
        inverse: ``A``, ``[inputs, inputs]``.
        gram: ``G``, ``[inputs, inputs]``.
        pending: The most updates that are put off.
    """

    def __init__(self, inverse: torch.Tensor, gram: torch.Tensor, pending: int) -> None:
        import torch

        self._inverse, self._gram = inverse, gram
        self._inverse_diagonal = inverse.diagonal().clone()
        self._gram_diagonal = gram.diagonal().clone()  # infinite where a column is gone
        self._columns = torch.arange(len(gram))  # the number of each column that is still here
        self._u = inverse.new_empty(pending, len(gram))
        self._v = torch.empty_like(self._u)
        self._count = 0

    def remove_cheapest(self) -> tuple[int, float]:
        """Removes one column and returns it and its cost."""
        if self._count == len(self._u):
            self._update()
        costs = self._gram_diagonal / self._inverse_diagonal.clamp_min(1e-300)
        at = int(costs.argmin())
        self._remove(at)
        return int(self._columns[at]), max(0.0, float(costs[at]))

    def _remove(self, at: int) -> None:
        """Puts one column's update off, and does it on the diagonals."""
        import torch

        u, v, count = self._u[: self._count], self._v[: self._count], self._count
        row = torch.addmv(self._inverse[at], u.T, u[:, at], alpha=-1.0)
        gram = torch.addmv(self._gram[at], u.T, v[:, at], alpha=-1.0)
        gram.addmv_(v.T, u[:, at], alpha=-1.0)
        pivot = float(row[at])
        gram.add_(row, alpha=-0.5 * float(gram[at]) / pivot)
        new_u = torch.mul(row, pivot**-0.5, out=self._u[count])
        new_v = torch.mul(gram, pivot**-0.5, out=self._v[count])
        self._inverse_diagonal.addcmul_(new_u, new_u, value=-1.0)
        self._gram_diagonal.addcmul_(new_u, new_v, value=-2.0)
        self._gram_diagonal[at] = torch.inf
        self._inverse_diagonal[at] = 1.0
        self._count += 1

    def _update(self) -> None:
        """Does the updates that were put off; leaves out what is gone where that is much."""
        import torch

        stay = torch.isfinite(self._gram_diagonal).nonzero()[:, 0]
        if len(stay) < _COMPACT_COLUMNS_AT * len(self._columns):
            self._inverse = self._inverse[stay][:, stay]
            self._gram = self._gram[stay][:, stay]
            self._inverse_diagonal = self._inverse_diagonal[stay]
            self._gram_diagonal = self._gram_diagonal[stay]
            self._columns = self._columns[stay]
            self._u, self._v = self._u[:, stay], self._v[:, stay]
        self._inverse.addmm_(self._u.T, self._u, alpha=-1.0)
        pairs = torch.cat([self._u, self._v]), torch.cat([self._v, self._u])
        self._gram.addmm_(pairs[0].T, pairs[1], alpha=-1.0)
        self._count = 0
