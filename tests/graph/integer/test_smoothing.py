"""Scales move between attention's values and its output projection, and no answer changes."""

from __future__ import annotations

from collections.abc import Callable

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.integer.smoothing import value_pairs

Graphs = Callable[..., OnnxModel]


def test_the_pairs_are_values_and_output_projections(tiny_graph: Graphs) -> None:
    pairs = value_pairs(tiny_graph().graph)

    assert [(one.value.module, one.output.module) for one in pairs] == [
        (
            f"bert.encoder.layer.{layer}.attention.self.value",
            f"bert.encoder.layer.{layer}.attention.output.dense",
        )
        for layer in range(2)
    ]
