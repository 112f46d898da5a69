"""Operators besides the products, put together by what they are for."""

from __future__ import annotations

from collections import Counter

import pytest

from bertcompress.profiling.executed import RanNode
from bertcompress.profiling.precision_map_groups import (
    GONE,
    GROUPS,
    OTHER,
    MappedGroup,
    groups,
    summed,
)


def node(kind: str, *seconds: float, module: str | None = None) -> RanNode:
    return RanNode(f"{kind}.1", kind, kind, module, None, False, seconds)


def test_no_operator_is_in_two_groups() -> None:
    counts = Counter(kind for kinds in GROUPS.values() for kind in kinds)
    assert [kind for kind, count in counts.items() if count > 1] == []


def test_operators_are_counted_and_their_medians_added() -> None:
    nodes = [
        node("Shape", 1.0, 1.0, 9.0),
        node("Softmax", 2.0, 3.0, 4.0),
        node("LayerNormalization", 1.0),
        node("SkipLayerNormalization", 2.0),
        node("SkipLayerNormalization", 3.0),
        node("MatMul", 50.0, module="layer.0"),  # a product, told elsewhere
    ]

    found = groups(nodes, None, ())

    assert found == (
        MappedGroup(
            "LayerNorm and residual",
            "SkipLayerNormalization 2, LayerNormalization 1",
            None,
            pytest.approx(6.0),  # type: ignore[arg-type]  # compares like a float
        ),
        MappedGroup("softmax", "Softmax 1", None, 3.0),
        MappedGroup(OTHER, "Shape 1", None, 1.0),
    )


def test_what_was_only_there_before_is_told_too() -> None:
    before = [node("Softmax", 4.0), node("Gelu", 2.0)]
    gone = [node("MatMul", 7.0, module="layer.0.key")]

    found = {one.name: one for one in groups([node("Softmax", 1.0)], before, gone)}

    assert (found["softmax"].before_s, found["softmax"].after_s) == (4.0, 1.0)
    assert found["activation function"] == MappedGroup("activation function", "", 2.0, 0)
    assert found[GONE] == MappedGroup(GONE, "", 7.0, 0)
    assert list(found)[-1] == GONE


def test_the_sum_is_of_medians() -> None:
    assert summed([node("Gelu", 1.0, 2.0, 30.0), node("Tanh", 4.0)]) == 6.0
    assert summed([]) == 0
