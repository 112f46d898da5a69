"""Only the first token is computed where the answer reads no other, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.edit import copy_of
from bertcompress.graph.first_token import only_first_token
from bertcompress.profiling.operations_graph import graph_operations

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
