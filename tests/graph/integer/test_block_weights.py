"""ONNX Runtime's kernels give what the blocks stand for, whatever their shape."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bertcompress.graph.edit import drop_unused_initializers, import_ort_domain, replace_nodes
from bertcompress.graph.integer.block_weights import block_gather, block_product
from bertcompress.graph.products import embedding_tables, weight_products
from bertcompress.numerics.block_grids import least_squares_grid
from bertcompress.numerics.blocks import BlockFormat, BlockWeights, dequantized, nearest
from bertcompress.runtimes.ort.runtime import optimized_graph, run_graph

FORMATS = [BlockFormat(4, size, symmetric) for size in (16, 128) for symmetric in (True, False)]
FORMATS += [BlockFormat(8, 32), BlockFormat(8, 16, symmetric=False)]


def model_of(node: onnx.NodeProto, weight: np.ndarray, kind: int) -> onnx.ModelProto:
    x = helper.make_tensor_value_info(
        "x", kind, ["batch", "sequence", *([weight.shape[0]] * (kind == 1))]
    )
    y = helper.make_tensor_value_info(
        "y", TensorProto.FLOAT, ["batch", "sequence", weight.shape[1]]
    )
    graph = helper.make_graph([node], "g", [x], [y], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)


def rounded(rows: int, columns: int, format_: BlockFormat) -> tuple[np.ndarray, BlockWeights]:
    generator = np.random.default_rng(rows + columns)
    weight = generator.normal(0.1, 1, (rows, columns)).astype(np.float32)
    return weight, nearest(weight, least_squares_grid(weight, format_))


def product_graph(
    weight: np.ndarray, blocks: BlockWeights, divisors: np.ndarray | None = None
) -> onnx.ModelProto:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], "product")
    graph = model_of(node, np.ascontiguousarray(weight.T), TensorProto.FLOAT)
    (product,) = weight_products(graph)
    import_ort_domain(graph)
    replace_nodes(graph, {"product": block_product(graph, product, blocks, divisors=divisors)})
    drop_unused_initializers(graph)
    return graph


@pytest.mark.parametrize("format_", FORMATS, ids=str)
@pytest.mark.parametrize(("outputs", "inputs"), [(24, 64), (7, 37), (1, 5), (33, 300)])
def test_a_product_of_blocks_is_the_product_of_what_they_stand_for(
    outputs: int, inputs: int, format_: BlockFormat
) -> None:
    weight, blocks = rounded(outputs, inputs, format_)
    graph = product_graph(weight, blocks)

    x = np.random.default_rng(0).normal(size=(2, 3, inputs)).astype(np.float32)
    expected = x @ dequantized(blocks).T
    (got,) = run_graph(graph, [{"x": x}])
    # The kernel rounds its input to INT8 by block: half a step of the largest in each.
    bound = np.abs(x).max() / 127 / 2 * np.abs(dequantized(blocks)).sum(axis=1)
    assert (np.abs(got["y"] - expected) <= bound + 1e-4).all()

    for node in graph.graph.node:
        for attribute in node.attribute:
            if attribute.name == "accuracy_level":
                attribute.i = 1
    (exact,) = run_graph(graph, [{"x": x}])
    np.testing.assert_allclose(exact["y"], expected, rtol=1e-4, atol=1e-4)


def test_the_scales_are_cast_while_the_graph_loads() -> None:
    weight, blocks = rounded(8, 32, BlockFormat(4, 32, symmetric=False))
    graph = product_graph(weight, blocks)
    assert [node.op_type for node in graph.graph.node] == ["Cast", "MatMulNBits"]
    assert [node.op_type for node in optimized_graph(graph).graph.node] == ["MatMulNBits"]


def test_divided_channels_are_divided() -> None:
    weight, blocks = rounded(8, 32, BlockFormat(8, 32))
    divisors = np.linspace(0.5, 2, 32).astype(np.float32)
    x = np.random.default_rng(0).normal(size=(1, 4, 32)).astype(np.float32)
    (got,) = run_graph(product_graph(weight, blocks, divisors), [{"x": x}])
    expected = (x / divisors) @ dequantized(blocks).T
    assert np.abs(got["y"] - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("format_", FORMATS, ids=str)
@pytest.mark.parametrize(("rows", "width"), [(40, 64), (19, 37), (20, 5), (16, 300)])
def test_gathered_rows_are_what_the_blocks_stand_for(
    rows: int, width: int, format_: BlockFormat
) -> None:
    weight, blocks = rounded(rows, width, format_)
    node = helper.make_node("Gather", ["w", "x"], ["y"], "gather")
    graph = model_of(node, weight, TensorProto.INT64)
    (table,) = embedding_tables(graph)
    import_ort_domain(graph)
    replace_nodes(graph, {"gather": block_gather(graph, table, blocks)})
    drop_unused_initializers(graph)

    ids = np.arange(rows)[None].repeat(2, axis=0)
    (got,) = run_graph(graph, [{"x": ids}])
    assert got["y"].shape == (2, rows, width)
    np.testing.assert_allclose(got["y"][1], dequantized(blocks), rtol=2**-10, atol=1e-6)


def test_the_domain_is_declared_once() -> None:
    graph = model_of(helper.make_node("Relu", ["x"], ["y"]), np.ones((2, 2), np.float32), 1)
    import_ort_domain(graph)
    import_ort_domain(graph)
    assert [(one.domain, one.version) for one in graph.opset_import] == [
        ("", 23),
        ("com.microsoft", 1),
    ]
