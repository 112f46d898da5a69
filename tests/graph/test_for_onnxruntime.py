"""The graph that quantizing starts from: fewer operations, the same answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.edit import copy_of
from bertcompress.graph.for_onnxruntime import (
    keep_residuals_apart,
    only_first_token,
    shaped_for_onnxruntime,
)
from bertcompress.profiling.operations_graph import graph_operations
from bertcompress.runtimes.ort.runtime import optimized_graph, run_graph


def feeds() -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(0)
    made = []
    for batch, length in ((1, 1), (1, 7), (3, 12)):
        mask = np.ones((batch, length), dtype=np.int64)
        mask[0, max(1, length - 3) :] = 0
        ids = generator.integers(5, 80, (batch, length))
        made.append({"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0})
    return made


def test_the_answers_stay(cut_graph: onnx.ModelProto) -> None:
    shaped = shaped_for_onnxruntime(cut_graph)
    onnx.checker.check_model(shaped)
    for one, other in zip(run_graph(cut_graph, feeds()), run_graph(shaped, feeds()), strict=True):
        np.testing.assert_allclose(other["logits"], one["logits"], atol=1e-5)


Graphs = Callable[..., OnnxModel]


def operations(graph: onnx.ModelProto) -> float:
    return graph_operations(graph).work(sentences=1, length=20).operations


def selection(graph: onnx.ModelProto) -> onnx.NodeProto:
    """Returns what reads the first token, the last of its kind."""
    return [n for n in graph.graph.node if n.op_type == "Gather" and "select" in n.output[0]][-1]


def test_the_last_layer_computes_one_token(cut_graph: onnx.ModelProto) -> None:
    graph = copy_of(cut_graph)
    before = operations(graph)
    assert only_first_token(graph) > 5
    assert operations(graph) < 0.95 * before


@pytest.mark.parametrize("task", ["token-classification", "question-answering"])
def test_where_all_tokens_are_read_all_are_computed(task: str, tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph(task=task).graph)
    before = graph.SerializeToString()
    assert only_first_token(graph) == 0
    assert graph.SerializeToString() == before


def test_hidden_states_that_are_also_given_out_stay_whole(tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    select = selection(graph)
    hidden = onnx.helper.make_tensor_value_info(select.input[0], 1, ["batch", "sequence", 32])
    graph.graph.output.append(hidden)
    assert only_first_token(graph) == 0


def test_another_token_than_the_first_is_left_alone(tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    select = selection(graph)
    last = onnx.numpy_helper.from_array(np.asarray(-1), "last")
    graph.graph.initializer.append(last)
    select.input[1] = "last"
    assert only_first_token(graph) == 0


def test_no_residual_is_fused_into_the_slow_operator(tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    assert "SkipLayerNormalization" in _run(graph)  # what ONNX Runtime does by itself
    assert keep_residuals_apart(graph) == 4 + 1  # two a layer, and the embeddings'
    assert "SkipLayerNormalization" not in _run(graph)


def _run(graph: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in optimized_graph(graph).graph.node)
