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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.pruning.importance import Scores
from bertcompress.errors import UsageError

Scope = Literal["global", "layer"]
Kept = tuple[tuple[int, ...], ...]
"""For each layer the indices of the units that stay, rising."""


def check_fraction(name: str, fraction: float) -> None:
    """Fails with a UsageError unless ``0 <= fraction < 1``."""
    if 0 <= fraction < 1:
        return
    hint = ""
    if fraction == 1:
        hint = "; 1.0 would remove all of them"
    elif 1 < fraction < 100:
        part = fraction / 100
        meant = f"{part:.2f}" if round(part, 2) == round(part, 12) else f"{part:.12g}"
        hint = f"; did you mean {meant}?"
    raise UsageError(f"{name} must be in [0, 1), got {fraction:g}{hint}")


def keep_units(
    scores: Scores, fraction: float, *, scope: Scope = "global", multiple: int = 1, minimum: int = 1
) -> Kept:
    """Chooses the units that stay.

    Where `minimum` leaves too few to choose from, fewer than `fraction` are removed: count what
    comes back.

    Args:
        scores: One array a layer; larger is more important.
        fraction: Of all units, the part to remove, [0, 1).
        scope: ``global`` ranks all layers together, ``layer`` removes the same part of each.
        multiple: Units go in blocks of this many; a width that is no multiple has one smaller
            block, of its least important units, which goes first.
        minimum: Units that every layer keeps at least (0 may empty it).

    Returns:
        For each layer the indices that stay, rising.

    Raises:
        UsageError: If a setting is outside what is allowed.
    """
    check_fraction("fraction", fraction)
    if scope not in get_args(Scope):
        raise UsageError(f"scope must be global or layer, got {scope!r}")
    if multiple < 1:
        raise UsageError(f"multiple must be 1 or more, got {multiple}")
    if minimum < 0:
        raise UsageError(f"minimum must be 0 or more, got {minimum}")
    order = [np.argsort(-values, kind="stable") for values in scores]
    ranked = [values[best_first] for values, best_first in zip(scores, order, strict=True)]
    if scope == "layer":
        widths = [_widths([values], fraction, multiple, minimum)[0] for values in ranked]
    else:
        widths = _widths(ranked, fraction, multiple, minimum)
    return tuple(
        tuple(sorted(int(unit) for unit in best_first[:width]))
        for best_first, width in zip(order, widths, strict=True)
    )


@dataclass(frozen=True)
class _Block:
    importance: float
    layer: int
    start: int
    size: int


def _widths(
    ranked: Sequence[NDArray[np.float64]], fraction: float, multiple: int, minimum: int
) -> list[int]:
    """Returns how many units each layer keeps; `ranked` falls within each layer."""
    blocks = [
        block for layer, values in enumerate(ranked) for block in _blocks(layer, values, multiple)
    ]
    removable = [block for block in blocks if block.start >= minimum]
    # Of equal blocks a layer's last goes first, so that what stays is always a prefix.
    removable.sort(key=lambda block: (block.importance, -block.start))
    kept = [values.size for values in ranked]
    target = fraction * sum(kept)
    removed = 0
    for block in removable:
        if removed + block.size / 2 > target:
            break
        kept[block.layer] -= block.size
        removed += block.size
    return kept


def _blocks(layer: int, values: NDArray[np.float64], multiple: int) -> list[_Block]:
    blocks: list[_Block] = []
    for start in range(0, values.size, multiple):
        own = values[start : start + multiple]
        mean = float(own.mean())
        if blocks:  # rounding must not lift a block over the one before it
            mean = min(mean, blocks[-1].importance)
        blocks.append(_Block(mean, layer, start, own.size))
    return blocks
