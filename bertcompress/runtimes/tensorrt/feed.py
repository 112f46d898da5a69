"""What an engine is given for a batch: its shapes, and its tokens without padding if it wants so.

A packed engine (`bertcompress.graph.tensorrt.pack_tokens`) takes the batch padded as everyone makes
it, and four tensors more that say where the real tokens are. They are made here from the mask, on
the CPU. The row of tokens is made as long as the next multiple of `STEP`, so that batches of the
same shape find a recorded CUDA graph although they seldom hold the same number of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bertcompress.artifacts.engine_record import Profile
from bertcompress.graph.tensorrt.pack_tokens import (
    KEY_LENGTHS,
    PACKED_ROWS,
    PADDED_ROWS,
    QUERY_LENGTHS,
)
from bertcompress.runtimes.base import Arrays
from bertcompress.runtimes.real_tokens import real_tokens

STEP = 64
"""Rows of a packed batch come in multiples of this."""

MASK = "attention_mask"
_ADDED = (PACKED_ROWS, PADDED_ROWS, QUERY_LENGTHS, KEY_LENGTHS)


def callers_inputs(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the inputs that a batch has to have, from those of the engine.

    >>> callers_inputs(["input_ids", "packed_rows", "padded_rows", "query_lengths", "kv_lengths"])
    ('input_ids', 'attention_mask')
    """
    if PACKED_ROWS not in names:
        return tuple(names)
    own = [name for name in names if name not in _ADDED]
    return tuple(dict.fromkeys((*own, MASK)))


def engine_feed(feed: Arrays, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """Returns what an engine of these inputs is given.

    Args:
        feed: A batch, ``[batch, sequence]`` each, with its mask.
        names: The engine's inputs.
    """
    found = {name: np.asarray(feed[name]) for name in names if name in feed}
    if PACKED_ROWS in names:
        found.update(_packing(feed[MASK]))
    return found


def _packing(mask: NDArray[np.generic]) -> dict[str, NDArray[np.generic]]:
    positions, starts = real_tokens(mask)
    count = len(positions)
    rows = np.zeros(min(-(-count // STEP) * STEP, np.size(mask)) or 1, dtype=np.int32)
    rows[:count] = positions
    padded = np.zeros(np.shape(mask), dtype=np.int32)
    padded.flat[positions] = np.arange(count)
    return {PACKED_ROWS: rows, PADDED_ROWS: padded, QUERY_LENGTHS: starts, KEY_LENGTHS: starts}


def input_shapes(name: str, profile: Profile) -> tuple[tuple[int, ...], ...]:
    """Returns the smallest, the timed and the largest shape of an engine's input in a profile.

    >>> input_shapes("packed_rows", Profile((1, 1), (8, 20), (8, 64)))
    ((1,), (160,), (512,))
    """
    shapes = (profile.least, profile.opt, profile.most)
    if name == PACKED_ROWS:
        return ((1,), *((batch * length,) for batch, length in shapes[1:]))
    if name in (QUERY_LENGTHS, KEY_LENGTHS):
        return tuple((batch + 1,) for batch, _ in shapes)
    return shapes


def shapes_in(feed: Arrays) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each input."""
    return {name: np.shape(values) for name, values in feed.items()}
