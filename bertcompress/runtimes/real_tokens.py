"""Where the real tokens of a padded batch are: what every packed runtime is told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def real_tokens(mask: NDArray[np.generic]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Returns where the real tokens are, and where each text begins among them.

    Args:
        mask: Not 0 for a real token, ``[batch, sequence]``.

    Returns:
        The positions in the flattened batch, int64 ``[tokens]``; the beginning of each text and
        the end of the last, int32 ``[batch + 1]``.

    >>> positions, starts = real_tokens(np.array([[1, 1, 0], [1, 0, 0]]))
    >>> positions.tolist(), starts.tolist()
    ([0, 1, 3], [0, 2, 3])
    """
    real = np.asarray(mask) != 0
    starts = np.concatenate(([0], np.cumsum(real.sum(axis=1))))
    return np.flatnonzero(real), starts.astype(np.int32)
