"""Residual additions that ONNX Runtime would fuse into a slow operator are kept apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import onnx

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.edit import copy_of
from bertcompress.graph.residuals import keep_residuals_apart
from bertcompress.runtimes.ort.runtime import optimized_graph

Graphs = Callable[..., OnnxModel]


def test_no_residual_is_fused_into_the_slow_operator(tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    assert "SkipLayerNormalization" in _run(graph)  # what ONNX Runtime does by itself
    assert keep_residuals_apart(graph) == 4 + 1  # two a layer, and the embeddings'
    assert "SkipLayerNormalization" not in _run(graph)


def _run(graph: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in optimized_graph(graph).graph.node)
