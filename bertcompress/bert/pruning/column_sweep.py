"""Optimal brain surgeon for units of one column, with the updates of the matrices put off.

A sweep needs of each remaining column ``j`` the cost ``|w_j|^2 / (H^-1)_jj``, and takes the
cheapest column ``p``. With ``r`` the row ``p`` of ``A = H^-1``, ``d = r_p`` and ``a = r / d``, what
is left of weight and inverse is ``W - w_p a^T`` and ``A - d a a^T``. The costs need of the weights
only the diagonal of ``G = W^T W``, and with ``g`` its row ``p`` and ``h = g - g_p / 2 * a``::

    A <- A - u u^T                u = a sqrt(d)
    G <- G - u v^T - v u^T        v = h / sqrt(d)

Done at once, each removal reads and writes both matrices: ``n^3`` numbers in all, bound by memory.
So we keep the matrices as they were and up to `PENDING` pairs ``u, v`` beside them. A removal needs
one row of each matrix, which is the old row less a small product, and both diagonals, which are
kept up to date. When the pairs are too many, one matrix product does all updates, and columns that
are gone are left out. The result is that of the plain algorithm, up to rounding.

Source: the put-off updates are those of blocked factorisations, e.g. Golub and Van Loan, Matrix
Computations, section 3.2.11, and of GPTQ, Frantar et al. 2022, arXiv:2210.17323, section 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PENDING = 64
"""So many updates are put off."""
_COMPACT_AT = 0.9


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
        if len(stay) < _COMPACT_AT * len(self._columns):
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
