"""Graphs for older operator sets answer as before, whatever pruning left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import transformers
from onnx import helper

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import ExportError
from bertcompress.graph.edit import copy_of
from bertcompress.graph.products import weight_products
from bertcompress.graph.tensorrt.lower import lower, opset_of
from bertcompress.runtimes.ort.runtime import run_graph
from fixtures.feeds import drawn_feed

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)

Graphs = Callable[..., OnnxModel]
GONE = {
    23: set(),
    20: {"Attention"},
    17: {"Attention", "Gelu"},
    16: {"Attention", "Gelu", "LayerNormalization"},
}


def kinds_of(graph: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in graph.graph.node}


@pytest.mark.parametrize("opset", GONE)
@pytest.mark.parametrize("shape", [(1, 1), (3, 9), (1, 128)])
def test_the_answers_do_not_change(
    opset: int, shape: tuple[int, int], tiny_graph: Graphs, unequal: OnnxModel
) -> None:
    for graph in (tiny_graph().graph, unequal.graph):
        lowered = copy_of(graph)
        lower(lowered, opset)

        assert opset_of(lowered) == opset
        assert not GONE[opset] & kinds_of(lowered)
        (expected,), (got,) = (
            run_graph(graph, [drawn_feed(*shape)]),
            run_graph(lowered, [drawn_feed(*shape)]),
        )
        np.testing.assert_allclose(expected["logits"], got["logits"], atol=2e-5)


def test_products_keep_their_names_and_weights(tiny_graph: Graphs) -> None:
    lowered = copy_of(tiny_graph().graph)
    lower(lowered, 16)
    assert weight_products(lowered) == weight_products(tiny_graph().graph)


def test_a_newer_set_than_the_graphs_changes_nothing(tiny_graph: Graphs) -> None:
    lowered = copy_of(tiny_graph().graph)
    lower(lowered, 25)
    assert lowered == tiny_graph().graph


def test_the_mask_is_made_once_and_finite(tiny_graph: Graphs) -> None:
    lowered = copy_of(tiny_graph().graph)
    lower(lowered, 20)
    kinds = [node.op_type for node in lowered.graph.node]
    assert (kinds.count("Where"), kinds.count("Softmax"), kinds.count("Expand")) == (1, 2, 0)


def test_a_text_that_is_all_padding_gives_numbers(tiny_graph: Graphs) -> None:
    lowered = copy_of(tiny_graph().graph)
    lower(lowered, 20)
    feed = drawn_feed(2, 5)
    feed["attention_mask"][:] = 0
    assert np.isfinite(run_graph(lowered, [feed])[0]["logits"]).all()


def test_what_an_older_set_can_not_say_is_named(tiny_graph: Graphs) -> None:
    with pytest.raises(ExportError, match="can't be said in opset 13"):
        lower(copy_of(tiny_graph().graph), 13)


def test_an_approximated_gelu_is_named(tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    gelu = next(node for node in graph.graph.node if node.op_type == "Gelu")
    del gelu.attribute[:]
    gelu.attribute.append(helper.make_attribute("approximate", "tanh"))
    with pytest.raises(ExportError, match="approximated Gelu"):
        lower(graph, 17)


@pytest.mark.parametrize(("name", "value"), [("is_causal", 1), ("q_num_heads", 2)])
def test_attention_of_another_kind_is_refused(name: str, value: int, tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    node = next(node for node in graph.graph.node if node.op_type == "Attention")
    next(one for one in node.attribute if one.name == name).i = value
    with pytest.raises(ExportError, match="not attention as this tool exports it"):
        lower(graph, 20)
