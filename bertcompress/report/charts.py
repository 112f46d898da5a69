"""The report's drawings: scatter with intervals, lines, distributions, forest plots.

Each function takes values with their texts and returns one SVG. Nothing here knows reports; see
`bertcompress.report.figures` for what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bertcompress.report.svg import (
    TEXT_SIZE,
    Frame,
    Scale,
    drawing,
    element,
    line,
    marker,
    polygon,
    polyline,
    spread,
    text,
    text_width,
    ticks,
    x_axis,
    y_axis,
)
from bertcompress.stats.intervals import Interval

WIDTH, HEIGHT = 520, 360
NARROW_GROWTH = 1.25
"""The style sheet writes larger on narrow screens, where the drawing is scaled down."""

_DISTANCES = (0, 18, 36, 54, 72, 90)
"""Steps by which a label moves away from its point where others are in the way."""

Written = Callable[[float], str]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Words:
    """What a drawing is called.

    Attributes:
        name: Unique in the page.
        title: What it shows.
        description: What there is to see.
        x_name: The horizontal axis.
        y_name: The vertical axis.
    """

    name: str
    title: str
    description: str
    x_name: str
    y_name: str


@dataclass(frozen=True)
class Point:
    """A point with its intervals; `series` decides colour and shape; an empty label is left out."""

    label: str
    series: int
    x: Interval
    y: Interval
    on_front: bool = False


@dataclass(frozen=True)
class Curve:
    """A line through (x, y) with the interval of each y, and the limit of each, if known."""

    label: str
    series: int
    xs: tuple[float, ...]
    ys: tuple[Interval, ...]
    limits: tuple[float, ...] = ()


@dataclass(frozen=True)
class Distribution:
    """Samples whose cumulative distribution is drawn."""

    label: str
    series: int
    samples: tuple[float, ...]


@dataclass(frozen=True)
class Bar:
    """A row of a forest plot: an estimate, its interval, and its text."""

    label: str
    series: int
    value: Interval
    written: str


def scatter(points: Sequence[Point], words: Words, *, x_text: Written, y_text: Written) -> str:
    """Draws points with interval whiskers; those on the front are joined. Right-low is worse."""
    frame = Frame(62, 34, WIDTH - 28, HEIGHT - 50)
    x = Scale(0.0, max(point.x.high for point in points) * 1.12, frame.left, frame.right)
    lows, highs = [p.y.low for p in points], [p.y.high for p in points]
    margin = max((max(highs) - min(lows)) * 0.12, 1e-4)
    y = Scale(min(lows) - margin, max(highs) + margin, frame.bottom, frame.top)
    parts = [
        x_axis(x, frame, ticks(x.low, x.high, count=6), x_text, words.x_name),
        y_axis(y, frame, ticks(y.low, y.high, count=6), y_text, words.y_name),
    ]
    joined = sorted((p for p in points if p.on_front), key=lambda p: p.x.estimate)
    if len(joined) > 1:
        steps = [(x.at(p.x.estimate), y.at(p.y.estimate)) for p in joined]
        parts.append(polyline(steps, "front"))
    for point in points:
        px, py = x.at(point.x.estimate), y.at(point.y.estimate)
        kind = f"whisker s{point.series}"
        parts.append(line(px, y.at(point.y.low), px, y.at(point.y.high), kind))
        parts.append(line(x.at(point.x.low), py, x.at(point.x.high), py, kind))
    for point in points:
        parts.append(marker(x.at(point.x.estimate), y.at(point.y.estimate), point.series))
    parts += _point_labels(points, x, y, frame)
    return drawing(words.name, words.title, words.description, (WIDTH, HEIGHT), *parts)


def lines(
    series: Sequence[Curve], words: Words, *, x_text: Written, y_text: Written, doubling: bool
) -> str:
    """Draws lines with bands, each named at its end; `doubling` spaces x by its logarithm."""
    name_width = NARROW_GROWTH * max(text_width(curve.label) for curve in series)
    frame = Frame(62, 34, WIDTH - min(190.0, name_width + 16), HEIGHT - 50)
    values = sorted({value for curve in series for value in curve.xs})
    place: Callable[[float], float] = math.log2 if doubling else float
    low, high = place(values[0]), place(values[-1])
    x = Scale(low, high if high > low else low + 1.0, frame.left + 10, frame.right - 6)
    top = max(y for curve in series for y in (*(i.high for i in curve.ys), *curve.limits))
    y = Scale(0.0, top * 1.06, frame.bottom, frame.top)
    placed = {place(value): x_text(value) for value in values}
    parts = [
        x_axis(x, frame, list(placed), lambda value: placed[value], words.x_name),
        y_axis(y, frame, ticks(0.0, y.high), y_text, words.y_name),
    ]
    for curve in series:
        xs = [x.at(place(value)) for value in curve.xs]
        upper = [(px, y.at(i.high)) for px, i in zip(xs, curve.ys, strict=True)]
        lower = [(px, y.at(i.low)) for px, i in zip(xs, curve.ys, strict=True)]
        parts.append(polygon([*upper, *reversed(lower)], f"band s{curve.series}"))
        limits = [(px, y.at(value)) for px, value in zip(xs, curve.limits, strict=False)]
        if limits:
            parts.append(polyline(limits, f"limit s{curve.series}"))
    for curve in series:
        xs = [x.at(place(value)) for value in curve.xs]
        middle = [(px, y.at(i.estimate)) for px, i in zip(xs, curve.ys, strict=True)]
        parts.append(polyline(middle, f"curve s{curve.series}"))
        parts += [marker(px, py, curve.series, radius=4.5) for px, py in middle]
    ends = [y.at(curve.ys[-1].estimate) for curve in series]
    labels = spread(ends, gap=TEXT_SIZE + 4, low=frame.top, high=frame.bottom)
    for curve, end, label in zip(series, ends, labels, strict=True):
        edge = x.at(place(curve.xs[-1])) + 8
        parts.append(line(edge, end, frame.right + 12, label, f"leader s{curve.series}"))
        parts.append(_clipped_text(frame.right + 15, label + 4.5, curve.label, f"s{curve.series}"))
    return drawing(words.name, words.title, words.description, (WIDTH, HEIGHT), *parts)


def distributions(series: Sequence[Distribution], words: Words, *, x_text: Written) -> str:
    """Draws the share of samples at or below each value; percentiles are read off at the left."""
    frame = Frame(62, 34, WIDTH - 28, HEIGHT - 50)
    ends = [
        sorted(distribution.samples)[int(0.99 * (len(distribution.samples) - 1))]
        for distribution in series
    ]
    x = Scale(0.0, max(ends) * 1.08, frame.left, frame.right)
    y = Scale(0.0, 1.0, frame.bottom, frame.top)
    parts = [
        x_axis(x, frame, ticks(0.0, x.high, count=6), x_text, words.x_name),
        y_axis(y, frame, [0.0, 0.25, 0.5, 0.75, 0.9, 1.0], lambda v: f"{v:.0%}", words.y_name),
    ]
    for distribution in series:
        ordered = sorted(distribution.samples)
        curve = [(x.at(0.0), y.at(0.0))]
        for k in range(0, len(ordered), max(1, len(ordered) // 200)):
            if ordered[k] > x.high:
                break
            curve.append((x.at(ordered[k]), y.at((k + 1) / len(ordered))))
        if ordered[-1] <= x.high:
            curve.append((x.at(ordered[-1]), y.at(1.0)))
        parts.append(polyline(curve, f"curve s{distribution.series}"))
        middle = ordered[len(ordered) // 2]
        parts.append(marker(x.at(middle), y.at(0.5), distribution.series, radius=5.0))
    return drawing(words.name, words.title, words.description, (WIDTH, HEIGHT), *parts)


def forest(
    bars: Sequence[Bar],
    words: Words,
    *,
    neutral: float,
    noise: float,
    bound: float | None,
    x_text: Written,
) -> str:
    """Draws one interval a row against a neutral line.

    Args:
        bars: From top to bottom.
        words: Its names; `y_name` is not drawn.
        neutral: Where nothing differs.
        noise: Half the width of the band that the machine can't resolve, 0 for none.
        bound: A limit to be drawn, None for none.
        x_text: Writes a value of the axis.
    """
    row = 46
    frame = Frame(14, 12, WIDTH - 14, 12 + row * len(bars))
    height = int(frame.bottom + 50)
    held = [neutral - noise, neutral + noise, *([] if bound is None else [bound])]
    low = min([bar.value.low for bar in bars] + held)
    high = max([bar.value.high for bar in bars] + held)
    margin = (high - low) * 0.08 or 0.1
    x = Scale(low - margin, high + margin, frame.left, frame.right)
    parts = [x_axis(x, frame, ticks(x.low, x.high, count=6), x_text, words.x_name)]
    if noise:
        left, right = x.at(neutral - noise), x.at(neutral + noise)
        box = {"x": left, "y": frame.top, "width": right - left, "height": frame.bottom - frame.top}
        parts.append(element("rect", {**box, "class": "noise"}))
    parts.append(line(x.at(neutral), frame.top, x.at(neutral), frame.bottom, "neutral"))
    if bound is not None:
        parts.append(line(x.at(bound), frame.top, x.at(bound), frame.bottom, "bound"))
    for k, bar in enumerate(bars):
        y = frame.top + row * k + 31
        parts.append(text(frame.left, y - 15, bar.label, {"class": "row-name"}))
        parts.append(
            text(frame.right, y - 15, bar.written, {"text-anchor": "end", "class": "row-value"})
        )
        kind = f"s{bar.series}"
        parts.append(line(x.at(bar.value.low), y, x.at(bar.value.high), y, f"reach {kind}"))
        parts.append(marker(x.at(bar.value.estimate), y, bar.series, radius=5.5))
    return drawing(words.name, words.title, words.description, (WIDTH, height), *parts)


def _point_labels(points: Sequence[Point], x: Scale, y: Scale, frame: Frame) -> list[str]:
    """Puts each label beside its point where it meets nothing else; farther ones get a line."""
    places = [(x.at(point.x.estimate), y.at(point.y.estimate)) for point in points]
    taken: list[Box] = [(px - 8, py - 8, px + 8, py + 8) for px, py in places]
    parts = []
    for point, (px, py) in zip(points, places, strict=True):
        if not point.label:
            continue
        width = text_width(point.label)
        spots = [spot for far in _DISTANCES for spot in _around(px, py, width, far)]
        inside = [spot for spot in spots if _is_inside(spot, width, frame)]
        free = [spot for spot in inside if not any(_meets(_box(spot, width), b) for b in taken)]
        left, base = (free or inside or spots)[0]
        taken.append(_box((left, base), width))
        if (left, base) not in _around(px, py, width, 0):
            end = min(max(px, left), left + width)
            parts.append(line(px, py, end, base - TEXT_SIZE / 3, f"leader s{point.series}"))
        parts.append(text(left, base, point.label, {"class": "label"}))
    return parts


def _around(px: float, py: float, width: float, far: float) -> tuple[tuple[float, float], ...]:
    """Returns places for a label: right, left, above and below of a point."""
    return (
        (px + 12, py - 10 - far),
        (px + 12, py + 20 + far),
        (px - 12 - width, py - 10 - far),
        (px - 12 - width, py + 20 + far),
        (px - width / 2, py - 24 - far),
        (px - width / 2, py + 34 + far),
    )


def _box(spot: tuple[float, float], width: float) -> Box:
    return spot[0], spot[1] - TEXT_SIZE, spot[0] + width, spot[1] + 3


def _is_inside(spot: tuple[float, float], width: float, frame: Frame) -> bool:
    left, top, right, bottom = _box(spot, width * NARROW_GROWTH)
    return left >= frame.left and right <= WIDTH and top >= 16 and bottom <= frame.bottom


def _meets(box: Box, other: Box) -> bool:
    apart = box[2] < other[0] or other[2] < box[0] or box[3] < other[1] or other[3] < box[1]
    return not apart


def _clipped_text(x: float, y: float, content: str, kind: str) -> str:
    room = int((WIDTH - x) / (TEXT_SIZE * 0.5))
    shown = content if len(content) <= room else content[: max(1, room - 1)] + "…"
    return text(x, y, shown, {"class": f"label {kind}"})
