"""Symmetric Q/DQ pairs: exact numbers, one pair a tensor, weights stored or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.errors import CalibrationError
from bertcompress.graph.edit import copy_of, initializer_values
from bertcompress.graph.products import weight_products
from bertcompress.graph.tensorrt.symmetric_qdq import Scheme, quantize_products
from fixtures.examples import wide_table

Graphs = Callable[..., OnnxModel]
QUERY = "bert.encoder.layer.0.attention.self.query"
INT8 = Scheme("int8", np.float16)
FP8 = Scheme("fp8", np.float16)


def narrow(table: CalibrationTable, low: float, high: float) -> CalibrationTable:
    """Returns the table with one range for all."""
    none = np.zeros(0, dtype=np.int64)
    ranges = {
        module: TensorRange(one.tensor, low, high, low, high, 1, none)
        for module, one in table.ranges.items()
    }
    return replace(table, ranges=ranges)


@pytest.mark.parametrize(("scheme", "largest"), [(INT8, 127), (FP8, 448)])
@pytest.mark.parametrize(("low", "high"), [(-3.0, 1.0), (-0.5, 3.0)])
def test_the_range_is_the_larger_end(
    scheme: Scheme, largest: int, low: float, high: float, tiny_graph: Graphs
) -> None:
    graph = copy_of(tiny_graph().graph)
    products = weight_products(graph)[:3]
    quantize_products(graph, products, narrow(wide_table(tiny_graph()), low, high), scheme)

    scale = initializer_values(graph, f"{products[0].tensor}.scale")
    assert scale.shape == ()
    assert 3.0 <= float(scale) * largest < 3.0 * (1 + 2**-10)
    assert initializer_values(graph, f"{products[0].tensor}.zero_point") == 0


def test_stored_weights_come_back_within_half_a_step(tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    product = weight_products(graph)[0]
    weight = initializer_values(graph, product.weight)
    quantize_products(graph, [product], wide_table(tiny_graph()), INT8)

    scale = initializer_values(graph, f"{product.weight}.scale")
    stored = initializer_values(graph, f"{product.weight}.int8")
    assert stored.dtype == np.int8
    assert (np.abs(stored * scale - weight) <= scale / 2 * (1 + 1e-5)).all()
    np.testing.assert_array_equal(np.abs(stored).max(axis=0) >= 126, True)
    np.testing.assert_array_equal(scale, scale.astype(np.float16))


def test_fp8_weights_have_one_scale_and_small_relative_errors(tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    product = weight_products(graph)[0]
    weight = initializer_values(graph, product.weight)
    quantize_products(graph, [product], wide_table(tiny_graph()), FP8)

    scale = initializer_values(graph, f"{product.weight}.scale")
    stored = initializer_values(graph, f"{product.weight}.fp8")
    assert (scale.shape, stored.dtype) == ((), ml_dtypes.float8_e4m3fn)
    error = np.abs(stored.astype(np.float32) * scale - weight)
    assert (error <= np.maximum(np.abs(weight) * 2**-4, scale * 2**-10) * (1 + 1e-5)).all()


def test_weights_for_version_8_stay_float_with_a_pair(tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    product = weight_products(graph)[0]
    scheme = Scheme("int8", np.float32, stored=False)
    quantize_products(graph, [product], wide_table(tiny_graph()), scheme)

    assert initializer_values(graph, product.weight).dtype == np.float32
    names = [node.name for node in graph.graph.node if product.weight in node.name]
    assert names == [f"{product.weight}.q", f"{product.weight}.dq"]


def test_query_key_and_value_share_one_pair(tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    products = weight_products(graph)[:3]
    quantize_products(graph, products, wide_table(tiny_graph()), INT8)

    inputs = {node.input[0] for node in graph.graph.node if node.name in {p.node for p in products}}
    assert inputs == {f"{products[0].tensor}.dq"}
    assert sum(node.op_type == "QuantizeLinear" for node in graph.graph.node) == 1


def test_two_ranges_of_one_tensor_are_refused(tiny_graph: Graphs) -> None:
    graph = copy_of(tiny_graph().graph)
    table = wide_table(tiny_graph())
    other = narrow(table, -1, 1).ranges[QUERY]
    changed = replace(table, ranges={**table.ranges, QUERY: other})
    with pytest.raises(CalibrationError, match="another range than its neighbour"):
        quantize_products(graph, weight_products(graph)[:3], changed, INT8)
