"""Products in standard operators, against the same integers multiplied by hand."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bertcompress.graph.edit import copy_of, replace_nodes
from bertcompress.graph.integer.portable_products import portable_product
from bertcompress.graph.products import weight_products
from bertcompress.numerics.affine import S8_MAX, S8_REDUCED, choose_symmetric_s8, quantize_s8
from bertcompress.numerics.granularity import PerAxis
from bertcompress.runtimes.ort.runtime import run_graph

SCALE, ZERO_POINT = np.float32(0.1), np.uint8(40)  # small enough for sums in pairs of 16 bits
WEIGHT = np.random.default_rng(1).normal(size=(8, 5)).astype(np.float32)


def product_graph(axes: int) -> onnx.ModelProto:
    """One product of an activation with that many axes, and what quantizes it."""
    shape = ("batch", "sequence", 8) if axes == 3 else ("batch", 8)
    named = {"dense.weight_t": WEIGHT, "scale": SCALE, "zero_point": ZERO_POINT}
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero_point"], ["x.q"], "quantize"),
            helper.make_node("MatMul", ["x", "dense.weight_t"], ["y"], "dense"),
        ],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (*shape[:-1], 5))],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in named.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("largest", [S8_MAX, S8_REDUCED])
@pytest.mark.parametrize(("axes", "kinds"), [(2, "MatMulInteger"), (3, "DequantizeLinear")])
def test_the_integers_are_multiplied(axes: int, kinds: str, largest: int) -> None:
    graph = product_graph(axes)
    (product,) = weight_products(graph)
    made = copy_of(graph)

    nodes = portable_product(made, product, ("x.q", "scale", "zero_point"), SCALE, largest=largest)
    replace_nodes(made, {"dense": nodes})

    onnx.checker.check_model(made)  # the standard's operators alone
    assert kinds in [node.op_type for node in nodes]
    x = np.random.default_rng(0).normal(size=(3, 4, 8)[3 - axes :]).astype(np.float32)
    weight_scale = choose_symmetric_s8(WEIGHT, PerAxis(1), largest=largest)
    weight = quantize_s8(WEIGHT, weight_scale, PerAxis(1)).astype(np.float64) * weight_scale
    integers = np.clip(np.rint(x / SCALE) + ZERO_POINT, 0, 255) - ZERO_POINT
    (outputs,) = run_graph(made, [{"x": x}])  # type: ignore[dict-item]  # floats here
    np.testing.assert_allclose(outputs["y"], (integers * SCALE) @ weight, rtol=0, atol=1e-5)
    assert np.abs(outputs["y"] - x @ WEIGHT).max() > 1e-3  # they were rounded
