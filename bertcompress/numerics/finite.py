"""Which tensor holds a number that is not finite.

A NaN among the weights makes every answer NaN, or only those of some texts (a row of an embedding
table), and comparisons with NaN are quietly false: a classifier then always answers its first
class. So whoever reads or makes weights looks here first. Values are looked at in parts, so that
a large tensor needs no second copy of its size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

_PART = 1 << 20
"""Values looked at at once."""


def all_finite(values: NDArray[np.generic]) -> bool:
    """Says whether no value is NaN or infinite; integers are finite.

    Args:
        values: Of any shape and type; float16 and bfloat16 too.
    """
    if values.dtype.kind in "iub" or not values.size:
        return True
    flat = values.reshape(-1)
    return all(
        bool(np.isfinite(flat[start : start + _PART]).all()) for start in range(0, flat.size, _PART)
    )


def first_not_finite(tensors: Iterable[tuple[str, torch.Tensor]]) -> str | None:
    """Returns the name of the first tensor that holds NaN or infinity, None if none does.

    Args:
        tensors: Names and tensors, of any type and on any device.
    """
    return next((name for name, tensor in tensors if not _is_finite(tensor)), None)


def _is_finite(tensor: torch.Tensor) -> bool:
    if not tensor.is_floating_point() or tensor.is_meta:
        return True
    parts = tensor.detach().reshape(-1).split(_PART)
    return all(bool(part.isfinite().all()) for part in parts)
