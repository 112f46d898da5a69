"""The heat map: every unit is there, told by more than colour, and inside its frame."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bertcompress.passes.prune.removed import Explanation
from bertcompress.report.heat_map import STEPS, heat_map, scale_of


def drawn(explanation: Explanation) -> ET.Element:
    return ET.fromstring(heat_map(explanation, name="m", title="A map", description="Of heads."))


def told(root: ET.Element) -> dict[str, ET.Element]:
    """Returns each group of the drawing by what it says when it is pointed at."""
    return {str(group.findtext("title")): group for group in root.iter("g")}


def kinds(group: ET.Element) -> list[str]:
    return [str(node.get("class")) for node in group if node.tag != "title"]


def test_every_head_says_its_layer_cost_and_fate(explanation: Explanation) -> None:
    cells = told(drawn(explanation))

    assert kinds(cells["layer 0, head 0, kept: cost 0.1 (KL, nats)"]) == ["heat h6"]
    removed = cells["layer 0, head 1, removed: cost 0.001 (KL, nats)"]
    assert kinds(removed)[1:] == ["gone-ground", "gone"]
    assert kinds(cells["layer 1, head 1, kept: cost 0 (KL, nats)"]) == ["heat h0"]
    assert kinds(cells["layer 1, head 2, kept: cost not measured"]) == ["heat unasked"]


def test_neurons_are_coloured_from_the_dearest_to_the_cheapest(explanation: Explanation) -> None:
    root = drawn(explanation)
    bars = {name: group for name, group in told(root).items() if "neurons" in name}

    assert list(bars) == [
        "layer 0, 8 of 8 neurons kept",
        "layer 1, 2 of 8 neurons kept; removing 4 of 4 parts: cost 0.4 (KL, nats)",
        "layer 1, 2 of 8 neurons kept; removing 3 of 4 parts: cost 0.03 (KL, nats)",
        "layer 1, 2 of 8 neurons kept; removing 2 of 4 parts: cost 0.01 (KL, nats)",
        "layer 1, 2 of 8 neurons kept; removing 1 of 4 parts: cost 0.003 (KL, nats)",
    ]
    steps = [int(kinds(group)[0][-1]) for name, group in bars.items() if "parts" in name]
    assert steps == sorted(steps, reverse=True)
    [cut] = [node for node in root.iter("line") if node.get("class") == "cut"]
    edges = [float(str(group[1].get("x"))) for group in list(bars.values())[1:]]
    assert float(str(cut.get("x1"))) == pytest.approx(edges[1])  # a quarter is left


def test_it_has_a_name_and_stays_inside_its_frame(explanation: Explanation) -> None:
    root = drawn(explanation)
    width, height = (float(value) for value in str(root.get("viewBox")).split()[2:])

    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "m-title m-desc"
    assert (root.get("width"), root.get("height")) == (f"{width:g}", f"{height:g}")
    for box in root.iter("rect"):
        assert 0 <= float(str(box.get("x"))) <= width - float(str(box.get("width")))
        assert 0 <= float(str(box.get("y"))) <= height - float(str(box.get("height")))


def test_what_was_not_asked_for_is_drawn_without_a_scale(explanation: Explanation) -> None:
    unasked = replace(
        explanation, head_costs=((None,) * 3, (None,) * 3), ffn_costs=((), ()), pieces=()
    )

    root = drawn(unasked)

    assert not any("h0" in kind for group in told(root).values() for kind in kinds(group))
    assert "Cost of removing it (KL, nats)" not in [node.text for node in root.iter("text")]


def test_models_without_heads_or_neurons_are_drawn(explanation: Explanation) -> None:
    empty = replace(
        explanation,
        head_costs=((), ()),
        heads_kept=((), ()),
        ffn_before=(0, 0),
        ffn_after=(0, 0),
        ffn_costs=((), ()),
        pieces=(),
    )

    assert told(drawn(empty)) == {}


@given(st.lists(st.floats(0.0, 1e3), min_size=1, max_size=30))
@example([5e-324])  # the smallest float above zero: no quotient of it is one
def test_a_higher_cost_is_never_of_a_lower_step(costs: list[float]) -> None:
    scale = scale_of(costs)

    if scale is None:
        assert max(costs) <= 1e-300
        return
    steps = [scale.step(cost) for cost in sorted(costs)]
    assert steps == sorted(steps)
    assert steps[-1] == STEPS - 1
    assert all(0 <= step < STEPS for step in steps)


def test_steps_are_of_equal_ratio() -> None:
    scale = scale_of([1e-4, 1e-2, 1.0])

    assert scale is not None
    bounds = scale.bounds()
    assert len(bounds) == STEPS - 1
    assert math.log10(bounds[1] / bounds[0]) == pytest.approx(0.5)
    assert scale.step(0.5 * bounds[0]) == 0
