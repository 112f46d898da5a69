"""Embedding tables as INT8: near the floats, small tables untouched."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from bertcompress.graph.integer.embeddings import quantize_embeddings
from bertcompress.runtimes.ort.runtime import run_graph


def graph_of(table: np.ndarray) -> onnx.ModelProto:
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "sequence"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "sequence", table.shape[1]])
    node = helper.make_node("Gather", ["table", "ids"], ["y"], "gather")
    graph = helper.make_graph([node], "g", [ids], [y], [numpy_helper.from_array(table, "table")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)


def test_rows_come_back_within_half_a_step_of_their_own_scale() -> None:
    generator = np.random.default_rng(0)
    table = (generator.normal(size=(40, 8)) * np.logspace(-3, 2, 40)[:, None]).astype(np.float32)
    graph = graph_of(table)

    assert quantize_embeddings(graph, portable=True) == ("table",)

    ids = np.arange(40).reshape(4, 10)
    (rows,) = ReferenceEvaluator(graph).run(None, {"ids": ids})
    half_step = np.abs(table).max(axis=1) / 127 / 2
    assert (np.abs(rows.reshape(40, 8) - table) <= half_step[:, None] * 1.001).all()
    assert {t.name: t.data_type for t in graph.graph.initializer} == {
        "table.int8": TensorProto.INT8,
        "table.scale": TensorProto.FLOAT,
    }


def test_blocks_come_back_within_half_a_step_of_their_own_scale() -> None:
    generator = np.random.default_rng(0)
    table = generator.normal(size=(40, 48)).astype(np.float32)
    graph = graph_of(table)

    assert quantize_embeddings(graph) == ("table",)

    (found,) = run_graph(graph, [{"ids": np.arange(40).reshape(4, 10)}])
    blocks = table.reshape(40, 3, 16)
    half_step = np.abs(blocks).max(axis=2, keepdims=True) / 127 / 2
    error = np.abs(found["y"].reshape(40, 3, 16) - blocks)
    assert (error <= half_step * 1.01 + np.abs(blocks) * 2.0**-10).all()  # float16 scales
    assert (error > 0).any()


def test_a_width_of_no_block_has_a_scale_a_row() -> None:
    graph = graph_of(np.ones((40, 8), dtype=np.float32))
    assert quantize_embeddings(graph) == ("table",)
    assert [node.op_type for node in graph.graph.node] == ["Gather", "Gather", "Cast", "Mul"]


def test_a_table_of_two_rows_stays_float() -> None:
    graph = graph_of(np.ones((2, 8), dtype=np.float32))
    before = graph.SerializeToString()
    assert quantize_embeddings(graph) == ()
    assert graph.SerializeToString() == before
