"""Which product of an optimized graph is which module's, and what it multiplies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.products import weight_products
from bertcompress.graph.run_products import module_names, run_products
from bertcompress.runtimes.ort.runtime import optimized_graph


def graph_of(*nodes: onnx.NodeProto, **weights: np.ndarray) -> onnx.ModelProto:
    named = {name.replace("__", "."): values for name, values in weights.items()}
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])
    initializers = [numpy_helper.from_array(values, name) for name, values in named.items()]
    return helper.make_model(helper.make_graph(list(nodes), "g", [x], [y], initializers))


FLOATS = np.eye(2, dtype=np.float32)
INTEGERS = np.eye(2, dtype=np.int8)


def test_a_float_graph_has_each_product_and_each_attention(
    tiny_graph: Callable[..., OnnxModel],
) -> None:
    graph = tiny_graph().graph
    products = run_products(optimized_graph(graph))

    modules = {one.module for one in products if one.weight is not None}
    assert modules == {product.module for product in weight_products(graph)}
    assert {one.precision("float32") for one in products} == {"float32"}
    attention = [one.module for one in products if one.weight is None]
    assert attention == [f"bert.encoder.layer.{layer}.attention.self" for layer in (0, 1)]


def test_a_fused_product_is_found_by_its_weight_s_name() -> None:
    node = helper.make_node(
        "FusedGemm", ["x", "a.weight_t", "b"], ["y"], "fused something", domain="com.microsoft"
    )
    [product] = run_products(graph_of(node, a__weight_t=FLOATS, b=FLOATS[0]))
    assert (product.module, product.kernel, product.weight) == ("a", "FusedGemm", "float32")


def test_a_product_of_a_foreign_name_keeps_its_node_s() -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], "some.node")
    assert run_products(graph_of(node, w=FLOATS))[0].module == "some.node"


def test_a_bare_integer_product_ends_in_floats() -> None:
    nodes = (
        helper.make_node("MatMulInteger", ["x", "a.weight_t.int8"], ["i"], "a.int32"),
        helper.make_node("Cast", ["i"], ["f"], "a.float", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "s"], ["y"], "a"),
    )
    [product] = run_products(graph_of(*nodes, a__weight_t__int8=INTEGERS, s=FLOATS[0]))

    assert product.nodes == (("a.int32", "MatMulInteger"), ("a.float", "Cast"), ("a", "Mul"))
    assert product.precision("uint8") == "uint8 x int8"


def test_a_result_that_two_read_is_not_the_product_s_alone() -> None:
    nodes = (
        helper.make_node("MatMulInteger", ["x", "a.weight_t"], ["i"], "a.int32"),
        helper.make_node("Cast", ["i"], ["f"], "one", to=TensorProto.FLOAT),
        helper.make_node("Cast", ["i"], ["y"], "two", to=TensorProto.FLOAT),
    )
    [product] = run_products(graph_of(*nodes, a__weight_t=INTEGERS))
    assert product.nodes == (("a.int32", "MatMulInteger"),)


def test_a_weight_that_is_dequantized_first_is_multiplied_in_float() -> None:
    nodes = (
        helper.make_node("DequantizeLinear", ["a.weight_t.int8", "s"], ["d"], "dq"),
        helper.make_node("Transpose", ["d"], ["t"], "transpose"),
        helper.make_node("MatMul", ["x", "t"], ["y"], "left"),
    )
    scale = np.asarray(0.5, dtype=np.float32)
    [product] = run_products(graph_of(*nodes, a__weight_t__int8=INTEGERS, s=scale))
    assert (product.module, product.precision("float32")) == ("a", "float32")


def test_ranges_found_as_it_runs_are_told() -> None:
    nodes = (
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], "quantize"),
        helper.make_node("MatMulInteger", ["q", "a.weight_t_quantized", "z"], ["y"], "a_quant"),
    )
    [product] = run_products(graph_of(*nodes, a__weight_t_quantized=INTEGERS))
    assert product.precision("uint8") == "uint8 x int8, dynamic"


def test_few_bits_are_told_with_their_block_and_what_they_meet() -> None:
    packed, scales = np.zeros((2, 1, 16), np.uint8), np.ones((2, 1), np.float32)
    for level, expected in ((4, "int8 x int4, block 32"), (0, "float32 x int4, block 32")):
        node = helper.make_node(
            "MatMulNBits",
            ["x", "a.weight_t_Q4", "a.weight_t_scales"],
            ["y"],
            "a_Q4",
            domain="com.microsoft",
            bits=4,
            block_size=32,
            K=32,
            N=2,
            accuracy_level=level,
        )
        graph = graph_of(node, a__weight_t_Q4=packed, a__weight_t_scales=scales)
        [product] = run_products(graph)
        assert (product.module, product.precision("float32")) == ("a", expected)


def test_a_product_of_two_activations_is_called_after_who_made_the_second() -> None:
    nodes = (
        helper.make_node("MatMul", ["x", "l.0.key.weight_t"], ["k"], "l.0.key"),
        helper.make_node("Transpose", ["k"], ["kt"], "t"),
        helper.make_node("MatMul", ["x", "kt"], ["y"], "scores"),
    )
    products = run_products(graph_of(*nodes, l__0__key__weight_t=FLOATS))
    assert [(one.module, one.weight) for one in products] == [
        ("l.0.key", "float32"),
        ("l.0", None),
    ]


def test_nodes_that_add_a_bias_belong_to_the_product() -> None:
    nodes = (
        helper.make_node("MatMul", ["x", "a.weight_t"], ["p"], "a"),
        helper.make_node("Add", ["p", "b"], ["s"], "bias"),
        helper.make_node("Tanh", ["s"], ["y"], "tanh"),
    )
    graph = graph_of(*nodes, a__weight_t=FLOATS, b=FLOATS[0])
    assert module_names(graph) == {"a": "a", "bias": "a"}
