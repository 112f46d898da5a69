"""Bounds are set for one precision or for all, and what is no bound is told."""

from __future__ import annotations

import pytest

from bertcompress.errors import UsageError
from bertcompress.parity.bounds import BOUNDS, FIGURES, with_bound


def test_a_bound_can_be_set_for_one_precision_or_all() -> None:
    one = with_bound(BOUNDS, "int8.max-drop=0.5")
    assert (one["int8"].max_drop, one["fp32"]) == (0.5, BOUNDS["fp32"])
    everything = with_bound(BOUNDS, "min-sqnr = off")
    assert {bounds.min_sqnr for bounds in everything.values()} == {None}
    assert everything["int4"].max_drop == BOUNDS["int4"].max_drop
    assert len(FIGURES) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("int8.max-drop", "a bound is"),
        ("int9.max-drop=1", "did you mean 'int8'"),
        ("max-drops=1", "did you mean 'max-drop'"),
        ("max-drop=few", "a number or off"),
    ],
)
def test_bounds_that_can_t_be_meant(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        with_bound(BOUNDS, text)
