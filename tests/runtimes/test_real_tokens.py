"""Where real tokens are, against a loop over the mask."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.runtimes.real_tokens import real_tokens


@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=5),
    padding=st.integers(0, 3),
    seen=st.sampled_from((1, True, -2.5)),
)
def test_every_text_is_found_by_its_beginning_and_end(
    lengths: list[int], padding: int, seen: float
) -> None:
    width = max(lengths) + padding
    mask = np.array([[seen] * length + [0] * (width - length) for length in lengths])
    batch = np.arange(mask.size).reshape(mask.shape)

    positions, starts = real_tokens(mask)

    assert (positions.dtype, starts.dtype) == (np.int64, np.int32)
    assert (starts[0], starts[-1]) == (0, len(positions))
    for row, length in enumerate(lengths):
        text = positions[starts[row] : starts[row + 1]]
        assert text.tolist() == batch[row, :length].tolist()
