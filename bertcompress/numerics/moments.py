"""Weighted least squares from streamed sums: no more than one batch of rows is ever held.

A linear map ``y ~ W x + b`` is fitted to weighted rows ``(x_t, y_t, w_t)``, pulled towards a given
``W0``::

    minimise  sum_t w_t |W x_t + b - y_t|^2 / sum_t w_t  +  damping * mean(diag G) * |W - W0|^2

with ``G`` the weighted covariance of ``x``. With the bias free, both sides are centred, and::

    W = W0 + (C - W0 G) (G + damping * mean(diag G) * I)^-1        b = mean(y) - W mean(x)

where ``C`` is the weighted covariance of ``y`` with ``x``. ``W0`` with the best bias is among the
candidates, so the fitted map's error on these rows is never above that of ``W0``.

Source: ridge regression towards a prior mean, e.g. van Wieringen, arXiv:1509.09169, chapter 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcompress.errors import PassError
from bertcompress.numerics.gram import Gram

if TYPE_CHECKING:
    import torch

DAMPING = 0.01


class Moments:
    """Sums over weighted rows, float64.

    Args:
        inputs: The width of ``x``; 0 where only a bias is fitted.
        outputs: The width of ``y``.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        import torch

        def zeros(*shape: int) -> torch.Tensor:
            return torch.zeros(shape, dtype=torch.float64)

        self.inputs, self.weight = inputs, 0.0
        self._x, self._y = zeros(inputs), zeros(outputs)
        self._xx, self._yx = Gram(inputs), zeros(outputs, inputs)

    def add(self, x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor) -> None:
        """Adds rows.

        Args:
            x: ``[rows, inputs]``.
            y: ``[rows, outputs]``.
            weights: ``[rows]``, 0 or more.
        """
        import torch

        weighted = x * weights[:, None]
        if not bool(torch.isfinite(y).all() and torch.isfinite(weighted).all()):
            raise PassError("activations are not finite numbers; the model's weights overflow")
        self.weight += float(weights.double().sum())
        self._x += weighted.double().sum(dim=0)
        self._y += (y * weights[:, None]).double().sum(dim=0)
        self._xx.add(x, weights)
        self._yx += y.T @ weighted

    def fit(
        self, start: torch.Tensor, *, damping: float = DAMPING
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns weight and bias, float64.

        Args:
            start: ``W0``, ``[outputs, inputs]``.
            damping: How strongly the weight is pulled towards it.

        Raises:
            PassError: If no row was added.
        """
        import torch

        mean_x, mean_y, covariance, cross = self._centred()
        weight = start.detach().double().clone()
        if weight.shape[1]:
            rest = cross.addmm_(weight, covariance, alpha=-1.0)
            covariance.diagonal().add_(damping * (float(covariance.diagonal().mean()) or 1.0))
            lower, failed = torch.linalg.cholesky_ex(covariance)
            if not int(failed):
                weight += torch.cholesky_solve(rest.T.contiguous(), lower).T
        return weight, mean_y - weight @ mean_x

    def _centred(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns both means, the covariance of x and that of y with x, as new tensors."""
        if self.weight <= 0:
            raise PassError("a least squares fit needs at least one row, got none")
        mean_x, mean_y = self._x / self.weight, self._y / self.weight
        covariance = (self._xx.total() / self.weight).addr_(mean_x, mean_x, alpha=-1.0)
        cross = (self._yx / self.weight).addr_(mean_y, mean_x, alpha=-1.0)
        return mean_x, mean_y, covariance, cross


class Residuals:
    """The weighted squared errors of several maps on the same rows, added up as the rows come.

    Args:
        maps: Weight ``[outputs, inputs]`` and bias ``[outputs]`` of each.
    """

    def __init__(self, *maps: tuple[torch.Tensor, torch.Tensor]) -> None:
        self._maps = maps
        self._sums = [0.0] * len(maps)
        self._weight = 0.0

    def add(self, x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor) -> None:
        """Adds rows, as `Moments.add` takes them; the maps are applied in the rows' precision."""
        self._weight += float(weights.double().sum())
        for at, (weight, bias) in enumerate(self._maps):
            rest = y - bias.to(y.dtype) - x @ weight.to(x.dtype).T
            self._sums[at] += float((rest.square().sum(dim=1) * weights).double().sum())

    def means(self) -> tuple[float, ...]:
        """Returns each map's mean squared error.

        Raises:
            PassError: If no row was added.
        """
        if self._weight <= 0:
            raise PassError("the error of a least squares fit needs at least one row, got none")
        return tuple(total / self._weight for total in self._sums)
