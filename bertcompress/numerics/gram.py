"""Weighted sums of outer products from streamed rows: ``sum_t w_t x_t x_t^T``.

Rows are scaled by ``sqrt(w_t)``, gathered until there are enough for a large matrix product, and
multiplied in their own precision; the products are added up in float64. The sum is symmetric, so
only the blocks on and above the diagonal are computed: with ``b`` blocks a side, ``(b + 1) / 2b``
of the work of the whole product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_ROWS = 2048
"""So many rows are multiplied at once: float32 is exact enough over them, the product fast."""
_BLOCK = 512


class Gram:
    """A sum of weighted outer products, float64.

    Args:
        inputs: The width of the rows; 0 is allowed.
    """

    def __init__(self, inputs: int) -> None:
        import torch

        self._sum = torch.zeros(inputs, inputs, dtype=torch.float64)
        self._waiting: list[torch.Tensor] = []

    def add(self, x: torch.Tensor, weights: torch.Tensor) -> None:
        """Adds rows.

        Args:
            x: ``[rows, inputs]``, float32 or float64.
            weights: ``[rows]``, 0 or more.
        """
        self._waiting.append(x * weights.sqrt()[:, None])
        if sum(map(len, self._waiting)) >= _ROWS:
            self._multiply()

    def total(self) -> torch.Tensor:
        """Returns the sum so far, ``[inputs, inputs]``; it is this object's own, not a copy."""
        self._multiply()
        for start in range(0, len(self._sum), _BLOCK):
            rows, rest = slice(start, start + _BLOCK), slice(start + _BLOCK, None)
            own = self._sum[rows, rows]
            own.copy_(own.triu() + own.triu(1).T)  # a product is symmetric only up to rounding
            self._sum[rest, rows] = self._sum[rows, rest].T
        return self._sum

    def _multiply(self) -> None:
        """Adds the products of the rows that wait, above the diagonal."""
        import torch

        if not self._waiting:
            return
        x = torch.cat(self._waiting)
        self._waiting = []
        for start in range(0, x.shape[1], _BLOCK):
            rows, rest = slice(start, start + _BLOCK), slice(start, None)
            self._sum[rows, rest] += x[:, rows].T @ x[:, rest]
