"""Drawings of a few numbers: where each mark lies, computed by hand."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from bertcompress.report.charts import (
    Bar,
    Curve,
    Distribution,
    Point,
    Words,
    distributions,
    forest,
    lines,
    scatter,
)
from bertcompress.stats.intervals import Interval

WORDS = Words("name", "a title", "what there is to see", "x", "y")


def exact(value: float) -> Interval:
    return Interval(value, value, value, 0.95)


def nodes(svg: str, tag: str, kind: str) -> list[ET.Element]:
    """Returns the drawing's elements of a tag whose class starts so."""
    return [it for it in ET.fromstring(svg).iter(tag) if it.get("class", "").startswith(kind)]


def test_whiskers_reach_from_the_lower_end_to_the_upper() -> None:
    points = [
        Point("a", 0, Interval(10.0, 5.0, 20.0, 0.95), Interval(0.8, 0.7, 0.9, 0.95)),
        Point("b", 1, exact(0.0), exact(0.7)),
    ]
    svg = scatter(points, WORDS, x_text=str, y_text=str)

    upright, level = nodes(svg, "line", "whisker s0")
    assert upright.get("x1") == upright.get("x2")
    assert level.get("y1") == level.get("y2")
    left, middle, right = (
        float(value or "nan") for value in (level.get("x1"), upright.get("x1"), level.get("x2"))
    )
    assert (middle - left) * 2 == pytest.approx(right - middle, abs=0.3)  # 5 below, 10 above
    none, _ = nodes(svg, "line", "whisker s1")
    assert none.get("y1") == none.get("y2")


def test_points_on_the_front_are_joined_from_left_to_right() -> None:
    points = [
        Point(name, at, exact(x), exact(y), on_front=front)
        for at, (name, x, y, front) in enumerate(
            [("c", 3.0, 3.0, True), ("a", 1.0, 1.0, True), ("b", 2.0, 0.5, False)]
        )
    ]
    [front] = nodes(scatter(points, WORDS, x_text=str, y_text=str), "polyline", "front")

    corners = [tuple(map(float, pair.split(","))) for pair in front.get("points", "").split()]
    assert len(corners) == 2
    assert corners[0][0] < corners[1][0]
    assert corners[0][1] > corners[1][1]  # a drawing's y grows downwards


def test_lengths_that_double_lie_at_equal_distances() -> None:
    curve = Curve("a", 0, (16.0, 32.0, 64.0), tuple(map(exact, (1.0, 2.0, 4.0))))
    svg = lines([curve], WORDS, x_text=str, y_text=str, doubling=True)

    [drawn] = nodes(svg, "polyline", "curve s0")
    xs, ys = zip(
        *(map(float, pair.split(",")) for pair in drawn.get("points", "").split()), strict=True
    )
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    assert 2 * (ys[0] - ys[1]) == pytest.approx(ys[1] - ys[2], abs=0.2)


def test_half_of_the_samples_lie_below_the_middle() -> None:
    svg = distributions([Distribution("a", 0, (1.0, 2.0, 3.0, 4.0))], WORDS, x_text=str)

    [drawn] = nodes(svg, "polyline", "curve s0")
    heights = [float(pair.split(",")[1]) for pair in drawn.get("points", "").split()]
    bottom, top = heights[0], min(heights)
    shares = [(bottom - height) / (bottom - top) for height in heights]
    assert shares[:4] == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0], abs=0.35)
    assert heights == sorted(heights, reverse=True)


def test_a_forest_has_a_row_for_each_bar_and_the_bands_that_were_asked_for() -> None:
    bars = [
        Bar("a", 0, Interval(1.5, 1.0, 2.0, 0.95), "1.50×"),
        Bar("b", 1, Interval(0.5, 0.4, 0.6, 0.95), "0.50×"),
    ]
    svg = forest(bars, WORDS, neutral=1.0, noise=0.1, bound=1.2, x_text=str)
    plain = forest(bars, WORDS, neutral=1.0, noise=0.0, bound=None, x_text=str)

    [neutral], [bound] = nodes(svg, "line", "neutral"), nodes(svg, "line", "bound")
    [noise] = nodes(svg, "rect", "noise")
    middle = float(noise.get("x", "nan")) + float(noise.get("width", "nan")) / 2
    assert middle == pytest.approx(float(neutral.get("x1", "nan")), abs=0.2)
    assert float(bound.get("x1", "nan")) > float(neutral.get("x1", "nan"))
    [first] = nodes(svg, "line", "reach s0")
    assert first.get("x1") == neutral.get("x1")  # its lower end is the neutral value
    assert [it.text for it in nodes(svg, "text", "row-value")] == ["1.50×", "0.50×"]
    assert nodes(plain, "rect", "noise") == nodes(plain, "line", "bound") == []
