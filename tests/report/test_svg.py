"""The drawing kit."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcompress.report.svg import Scale, marker, spread, text, ticks


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
def test_ticks_are_few_round_and_inside(low: float, width: float) -> None:
    values = ticks(low, low + width)

    assert 1 <= len(values) <= 12
    assert all(low - 1e-6 * width <= v <= low + width * (1 + 1e-6) for v in values)


def test_ticks_of_a_point_are_the_point() -> None:
    assert ticks(2.0, 2.0) == [2.0]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_spread_labels_keep_their_order_and_distance(positions: list[float]) -> None:
    placed = spread(positions, gap=10.0, low=0.0, high=100.0)

    ordered = sorted(placed)
    assert all(b - a >= 10.0 - 1e-9 for a, b in pairwise(ordered))
    assert all(0.0 - 1e-9 <= p <= 100.0 for p in placed)


def test_scales_map_values_to_pixels() -> None:
    scale = Scale(0.0, 10.0, 100.0, 0.0)

    assert scale.at(2.5) == 75.0


@pytest.mark.parametrize("series", range(8))
def test_each_series_has_a_shape_of_its_own(series: int) -> None:
    shapes = {marker(0.0, 0.0, k).replace(f"s{k}", "") for k in range(8)}

    assert len(shapes) == 8
    assert f"s{series}" in marker(0.0, 0.0, series)


def test_text_is_escaped() -> None:
    assert "&lt;b&gt;" in text(0, 0, "<b>")
