"""The heat map of a pruned model: its heads and neurons, coloured by what removing them costs.

A row is a layer, the first at the top. At the left each cell is a head; at the right a bar is the
layer's neurons, those that cost the least at its right end, and the colour of a part is the cost
of removing it together with all to its right. What was removed is crossed out, so that nothing is
told by colour alone. Colours are steps of equal ratio, classes ``h0`` to ``h7`` of the style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bertcompress.formatting import cost_text, count_text
from bertcompress.passes.prune.removed import Explanation
from bertcompress.report.svg import drawing, element, line, text, titled

CELL, GAP = 30.0, 3.0
STEPS = 8
_RANGE = 1e4
"""Costs further below the highest share the first colour."""

_NOTHING = 1e-300
"""Costs below are nothing: ratios of them would leave what a float can say."""

_LEAST_RATIO = 1.3
"""Nearly equal costs shall look it, and not fill the whole scale."""

_LEFT, _TOP, _BETWEEN, _BAR, _TEXT = 44.0, 46.0, 34.0, 240.0, 118.0
_LEGEND_STEP, _LEGEND_KEY = 62.0, 120.0


@dataclass(frozen=True)
class CostScale:
    """Costs to steps of colour, each of the same ratio.

    Attributes:
        low: The lower bound of the second step.
        ratio: Between the bounds of a step.
    """

    low: float
    ratio: float

    def step(self, cost: float) -> int:
        """Returns the step of a cost, 0 to `STEPS` - 1."""
        if cost < self.low:
            return 0
        return min(STEPS - 1, 1 + int(math.log(cost / self.low) / math.log(self.ratio) + 1e-9))

    def bounds(self) -> list[float]:
        """Returns the costs between the steps."""
        return [self.low * self.ratio**number for number in range(STEPS - 1)]


def scale_of(costs: Sequence[float]) -> CostScale | None:
    """Returns the scale for some costs, None if all of them are nothing."""
    positive = [cost for cost in costs if cost > _NOTHING]
    if not positive:
        return None
    high = max(positive)
    least = max(min(positive), high / _RANGE)
    ratio = max((high / least) ** (1 / STEPS), _LEAST_RATIO)
    return CostScale(high / ratio ** (STEPS - 1), ratio)


def heat_map(explanation: Explanation, *, name: str, title: str, description: str) -> str:
    """Draws the map.

    Args:
        explanation: What was removed.
        name: Unique in the page.
        title: What it shows.
        description: What there is to see, for those who can't.
    """
    shown = [
        cost
        for row in (*explanation.head_costs, *(costs[1:] for costs in explanation.ffn_costs))
        for cost in row
        if cost is not None
    ]
    scale = scale_of(shown)
    bar_left = _LEFT + explanation.heads * (CELL + GAP) + _BETWEEN
    width = int(bar_left + _BAR + _TEXT)
    bottom = _TOP + explanation.layers * (CELL + GAP)
    parts = [*_names(explanation, bar_left), *_legend(scale, explanation.cost_unit, bottom + 32)]
    for layer in range(explanation.layers):
        y = _TOP + layer * (CELL + GAP)
        parts.append(text(_LEFT - 10, y + CELL - 10, str(layer), {"text-anchor": "end"}))
        parts += _heads(explanation, layer, y, scale)
        parts += _neurons(explanation, layer, (bar_left, y), scale)
    width = max(width, int(_LEFT + STEPS * _LEGEND_STEP + _LEGEND_KEY))
    size = (width, int(bottom + 76))
    return drawing(name, title, description, size, *parts, fixed=True)


def ffn_kept_text(explanation: Explanation, layer: int) -> str:
    """Returns how many neurons a layer keeps of how many."""
    before, after = explanation.ffn_before[layer], explanation.ffn_after[layer]
    return f"{count_text(after)} of {count_text(before)}"


def _names(explanation: Explanation, bar_left: float) -> list[str]:
    parts = [
        text(2.0, 16.0, "Layer", {"class": "axis-name"}),
        text(_LEFT, 16.0, "Heads", {"class": "axis-name"}),
        text(bar_left, 16.0, "Neurons, the least needed at the right", {"class": "axis-name"}),
        text(bar_left + _BAR + 10, _TOP - 10, "kept"),
    ]
    for head in range(explanation.heads):
        x = _LEFT + head * (CELL + GAP) + CELL / 2
        parts.append(text(x, _TOP - 10, str(head), {"text-anchor": "middle"}))
    return parts


def _heads(explanation: Explanation, layer: int, y: float, scale: CostScale | None) -> list[str]:
    kept, parts = set(explanation.heads_kept[layer]), []
    for head, cost in enumerate(explanation.head_costs[layer]):
        x = _LEFT + head * (CELL + GAP)
        state = "kept" if head in kept else "removed"
        told = f"layer {layer}, head {head}, {state}: {_cost(explanation, cost)}"
        drawn = [_cell(x, y, CELL, _kind(cost, scale))]
        if head not in kept:
            drawn.append(_cross(x, y, CELL))
        parts.append(titled(told, *drawn))
    return parts


def _neurons(
    explanation: Explanation, layer: int, corner: tuple[float, float], scale: CostScale | None
) -> list[str]:
    """Draws a layer's bar: parts coloured by cost, what is gone struck out, the numbers beside."""
    before, after = explanation.ffn_before[layer], explanation.ffn_after[layer]
    left, y = corner
    numbers = text(
        left + _BAR + 10, y + CELL - 10, ffn_kept_text(explanation, layer), {"class": "row-value"}
    )
    if not before:
        return [numbers]
    costs = explanation.ffn_steps(layer) or (None,)
    width, parts = _BAR / len(costs), []
    for number, cost in enumerate(reversed(costs)):
        told = f"layer {layer}, {ffn_kept_text(explanation, layer)} neurons kept"
        if cost is not None:
            share = f"{len(costs) - number} of {len(costs)} parts"
            told += f"; removing {share}: {_cost(explanation, cost)}"
        parts.append(titled(told, _cell(left + number * width, y, width, _kind(cost, scale))))
    edge = left + _BAR * after / before
    if after < before:
        parts.append(_hatch(edge, left + _BAR, y))
        parts.append(line(edge, y - 2, edge, y + CELL + 2, "cut"))
    return [*parts, numbers]


def _hatch(left: float, right: float, y: float) -> str:
    """Draws slanted strokes, each cut off at the edges of its box."""
    strokes, slant = [], CELL
    start = left - slant + 8
    while start < right:
        first, last = max(start, left), min(start + slant, right)
        if last - first > 1:
            strokes.append((first, y + CELL - (first - start), last, y + CELL - (last - start)))
        start += 14
    return _strokes(strokes)


def _cross(x: float, y: float, size: float) -> str:
    near, far = size * 0.22, size * 0.78
    return _strokes(
        [(x + near, y + near, x + far, y + far), (x + near, y + far, x + far, y + near)]
    )


def _strokes(lines: Sequence[tuple[float, float, float, float]]) -> str:
    """Draws lines that stand out from any colour: dark ones on a light ground."""
    path = " ".join(f"M{x1:.4g} {y1:.4g}L{x2:.4g} {y2:.4g}" for x1, y1, x2, y2 in lines)
    under = element("path", {"d": path, "class": "gone-ground"})
    return under + element("path", {"d": path, "class": "gone"})


def _legend(scale: CostScale | None, unit: str, y: float) -> list[str]:
    x = _LEFT if scale is None else _LEFT + STEPS * _LEGEND_STEP + 26
    parts = [_cell(x, y + 2, 18.0, "unasked", 18.0), _cross(x, y + 2, 18.0)]
    parts.append(text(x + 26, y + 16, "removed"))
    if scale is None:
        return parts
    parts.append(text(_LEFT, y - 6, f"Cost of removing it ({unit})", {"class": "axis-name"}))
    for step in range(STEPS):
        parts.append(_cell(_LEFT + step * _LEGEND_STEP, y + 4, _LEGEND_STEP, f"h{step}", 14.0))
    for number, bound in enumerate(scale.bounds()):
        x = _LEFT + (number + 1) * _LEGEND_STEP
        parts.append(text(x, y + 36, cost_text(bound), {"text-anchor": "middle"}))
    return parts


def _cell(x: float, y: float, width: float, kind: str, height: float = CELL) -> str:
    box = {"x": x, "y": y, "width": width, "height": height}
    return element("rect", {**box, "class": f"heat {kind}"})


def _kind(cost: float | None, scale: CostScale | None) -> str:
    if cost is None:
        return "unasked"
    return f"h{scale.step(cost)}" if scale else "h0"


def _cost(explanation: Explanation, cost: float | None) -> str:
    if cost is None:
        return "cost not measured"
    return f"cost {cost_text(cost)} ({explanation.cost_unit})"
