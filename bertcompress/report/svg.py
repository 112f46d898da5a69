"""Inline SVG by hand: elements, scales, axes and markers, no library and no script.

Colours come from the page's style sheet (class ``s0`` is the baseline, ``s1``… the variants,
``s8`` all peers), so that a drawing follows the light or dark page it stands in. Series differ in
marker shape as well as in colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

Attributes = Mapping[str, str | float]
TEXT_SIZE = 13.0
CHARACTER_WIDTH = 0.61
SERIES = 8
PEER_SERIES = 8
"""Comes after the others: one colour and shape for all that stand beside the user's own."""


@dataclass(frozen=True)
class Scale:
    """Maps values to pixels in a straight line.

    Attributes:
        low: The value at `start`.
        high: The value at `end`.
        start: A pixel.
        end: A pixel.
    """

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Returns the pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(frozen=True)
class Frame:
    """The rectangle inside the axes, pixels of the drawing."""

    left: float
    top: float
    right: float
    bottom: float


def element(name: str, attributes: Attributes, *children: str) -> str:
    """Returns an element; children are markup already."""
    written = "".join(
        f' {key}="{escape(_number(value) if isinstance(value, float) else str(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{''.join(children)}</{name}>"


def text(x: float, y: float, content: str, attributes: Attributes | None = None) -> str:
    """Returns a text element."""
    return element("text", {"x": x, "y": y, **(attributes or {})}, escape(content))


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Returns a straight line of a class of the style sheet."""
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def polyline(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Returns an open line through the points."""
    path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    return element("polyline", {"points": path, "class": kind})


def polygon(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Returns a filled area."""
    path = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
    return element("polygon", {"points": path, "class": kind})


def drawing(
    name: str,
    title: str,
    description: str,
    size: tuple[int, int],
    *body: str,
    fixed: bool = False,
) -> str:
    """Returns an SVG that a screen reader announces by its title and description.

    Args:
        name: Unique in the page; makes the ids.
        title: What it shows.
        description: What there is to see, in a sentence or two.
        size: Width and height of the drawing's own units.
        body: What is drawn.
        fixed: Whether it keeps its size in pixels instead of filling its box.
    """
    width, height = size
    attributes: dict[str, str | float] = {
        "viewBox": f"0 0 {width} {height}",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
        "class": "chart",
    }
    if fixed:
        attributes |= {"width": width, "height": height, "class": "chart fixed"}
    heading = element("title", {"id": f"{name}-title"}, escape(title))
    detail = element("desc", {"id": f"{name}-desc"}, escape(description))
    return element("svg", attributes, heading, detail, *body)


def titled(told: str, *shapes: str) -> str:
    """Returns shapes that say what they are when they are pointed at."""
    return element("g", {}, element("title", {}, escape(told)), *shapes)


def ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Returns round values inside [low, high], about `count` of them, steps of 1, 2 or 5."""
    if high <= low:
        return [low]
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def x_axis(
    scale: Scale, frame: Frame, values: Sequence[float], written: Callable[[float], str], name: str
) -> str:
    """Draws vertical grid lines, their values below, and the axis' name."""
    parts = []
    for value in values:
        x = scale.at(value)
        parts.append(line(x, frame.top, x, frame.bottom, "grid"))
        parts.append(text(x, frame.bottom + 18, written(value), {"text-anchor": "middle"}))
    middle = (frame.left + frame.right) / 2
    parts.append(
        text(middle, frame.bottom + 38, name, {"text-anchor": "middle", "class": "axis-name"})
    )
    return "".join(parts)


def y_axis(
    scale: Scale, frame: Frame, values: Sequence[float], written: Callable[[float], str], name: str
) -> str:
    """Draws horizontal grid lines, their values at the left, and the axis' name above."""
    parts = []
    for value in values:
        y = scale.at(value)
        parts.append(line(frame.left, y, frame.right, y, "grid"))
        parts.append(text(frame.left - 8, y + 4.5, written(value), {"text-anchor": "end"}))
    parts.append(text(2.0, frame.top - 14, name, {"class": "axis-name"}))
    return "".join(parts)


def marker(x: float, y: float, series: int, *, radius: float = 6.0) -> str:
    """Draws a series' own shape: circle, square, diamond, triangles and so on."""
    kind = f"mark s{series}"
    if series == 0:
        return element("circle", {"cx": x, "cy": y, "r": radius, "class": kind})
    points = [
        (x + radius * size * math.cos(angle), y + radius * size * math.sin(angle))
        for angle, size in _SHAPES[series]
    ]
    return polygon(points, kind)


def text_width(content: str) -> float:
    """Estimates the width of a text in the page's font."""
    return len(content) * TEXT_SIZE * CHARACTER_WIDTH


def spread(positions: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Moves labels apart so that no two are nearer than `gap`, keeping their order.

    >>> spread([10.0, 12.0, 40.0], gap=10.0, low=0.0, high=100.0)
    [10.0, 20.0, 40.0]
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    placed = [0.0] * len(positions)
    last = low - gap
    for i in order:
        last = max(positions[i], last + gap)
        placed[i] = last
    limit = high
    for i in reversed(order):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    return placed


def _regular(corners: int, turn: float, size: float) -> list[tuple[float, float]]:
    return [(turn + 2 * math.pi * k / corners, size) for k in range(corners)]


def _star(points: int) -> list[tuple[float, float]]:
    return [
        (-math.pi / 2 + math.pi * k / points, 1.3 if k % 2 == 0 else 0.55)
        for k in range(2 * points)
    ]


_SHAPES: Mapping[int, list[tuple[float, float]]] = {
    1: _regular(4, math.pi / 4, 1.25),
    2: _regular(4, 0.0, 1.3),
    3: _regular(3, -math.pi / 2, 1.3),
    4: _regular(3, math.pi / 2, 1.3),
    5: _regular(5, -math.pi / 2, 1.15),
    6: _star(4),
    7: _regular(6, 0.0, 1.1),
    PEER_SERIES: _regular(8, math.pi / 8, 0.8),
}


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
