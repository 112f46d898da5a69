"""Which units stay: a fraction of all is removed, the least important first.

Units are removed in blocks (FFN widths that kernels like are multiples of 32 or 64; heads go one
by one). Within a layer units are sorted by importance and cut into blocks; because the blocks'
means then fall monotonically, taking the best blocks over all layers takes a prefix of each layer,
and one sort answers the global question.

**What a fraction means.** ``fraction`` is of the *number of units removed*, not of parameters or of
time: a head holds ``4 * head_size * hidden`` weights of the layer's linear part, a neuron
``2 * hidden``; embeddings and heads of tasks are not counted. The number of blocks to remove is
rounded to the nearest whole one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from bertcompress.bert.importance import Scores
from bertcompress.errors import UsageError

Scope = Literal["global", "layer"]
Kept = tuple[tuple[int, ...], ...]
"""For each layer the indices of the units that stay, rising."""


def check_fraction(name: str, fraction: float) -> None:
    """Fails with a UsageError unless ``0 <= fraction < 1``."""
    if 0 <= fraction < 1:
        return
    hint = f"; did you mean {fraction / 100:.2f}?" if 1 < fraction < 100 else ""
    if fraction == 1:
        hint = "; 1.0 would remove all of them"
    raise UsageError(f"{name} must be in [0, 1), got {fraction:g}{hint}")


def keep_units(
    scores: Scores, fraction: float, *, scope: Scope = "global", multiple: int = 1, minimum: int = 1
) -> Kept:
    """Chooses the units that stay.

    Args:
        scores: One array a layer; larger is more important.
        fraction: Of all units, the part to remove, [0, 1).
        scope: ``global`` ranks all layers together, ``layer`` removes the same part of each.
        multiple: Units go in blocks of this many; a width that is no multiple has one smaller block.
        minimum: Units that every layer keeps at least (0 may empty it).

    Returns:
        For each layer the indices that stay, rising.
    """
    order = [np.argsort(-values, kind="stable") for values in scores]
    if scope == "layer":
        widths = [
            _widths([values], [ranked], fraction, multiple, minimum)[0]
            for values, ranked in zip(scores, order, strict=True)
        ]
    else:
        widths = _widths(scores, order, fraction, multiple, minimum)
    return tuple(
        tuple(sorted(int(unit) for unit in ranked[:width]))
        for ranked, width in zip(order, widths, strict=True)
    )


def _widths(
    scores: Scores | list[np.ndarray],
    order: list[np.ndarray],
    fraction: float,
    multiple: int,
    minimum: int,
) -> list[int]:
    """Returns how many units each layer keeps."""
    blocks: list[tuple[float, int, int]] = []  # (mean importance, layer, block size), removable
    kept = [values.size for values in scores]
    for layer, (values, ranked) in enumerate(zip(scores, order, strict=True)):
        starts = range(0, values.size, multiple)
        for start in starts:
            if start < minimum:
                continue  # the best block stays, whatever the others are worth
            block = ranked[start : start + multiple]
            blocks.append((float(values[block].mean()), layer, block.size))
    target = fraction * sum(kept)
    removed = 0
    for _, layer, size in sorted(blocks, key=lambda block: block[0]):
        if removed + size / 2 > target:
            break
        kept[layer] -= size
        removed += size
    return kept
