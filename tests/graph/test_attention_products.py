"""Attention spelled out as two products: read as it is, split where it was named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import transformers

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.attention_products import (
    attention_nodes,
    attention_operands,
    split_attention,
)
from bertcompress.graph.edit import copy_of
from bertcompress.runtimes.ort.runtime import run_graph
from fixtures.feeds import drawn_feed

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)


Graphs = Callable[..., OnnxModel]


def test_attention_is_read_with_its_heads(unequal: OnnxModel) -> None:
    (only,) = attention_nodes(unequal.graph)  # the second layer has no heads left
    assert (only.heads, only.head_size) == (3, 8)
    assert only.scale == pytest.approx(8**-0.5)


def test_operands_are_named_after_their_projections(unequal: OnnxModel) -> None:
    names = [one.module for one in attention_operands(unequal.graph)]
    start = "bert.encoder.layer.0.attention.self"
    assert names == [f"{start}.query:out", f"{start}.key:out", f"{start}.value:out"]


def test_only_the_attention_that_was_named_is_split(tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    first, second = attention_nodes(graph)

    split_attention(graph, [second])

    assert [one.node for one in attention_nodes(graph)] == [first.node]
    (expected,) = run_graph(tiny_graph().graph, [drawn_feed(2, 6)])
    (got,) = run_graph(graph, [drawn_feed(2, 6)])
    np.testing.assert_allclose(expected["logits"], got["logits"], atol=2e-5)
