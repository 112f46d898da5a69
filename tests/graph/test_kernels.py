"""Counting the operators that a runtime made of a graph, on a graph written by hand."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bertcompress.graph.kernels import count_kernels


def graph_of(nodes: list[tuple[str, str]], weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """Makes a graph of operators, each with its inputs; nothing in it has to run."""
    made = [
        helper.make_node(kind, inputs.split(), [f"out{at}" if kind != "DequantizeLinear" else "dq"])
        for at, (kind, inputs) in enumerate(nodes)
    ]
    tensors = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    return helper.make_model(helper.make_graph(made, "g", [], [], tensors))


def test_each_kernel_is_counted_for_what_it_is() -> None:
    kernels = count_kernels(
        graph_of(
            [
                ("MatMulIntegerToFloat", "x a"),
                ("MatMulIntegerToFloat", "x b"),
                ("MatMulNBits", "x c"),
                ("QAttention", "x d"),
                ("Attention", "x e"),
                ("SkipLayerNormalization", "x y"),
                ("BiasGelu", "x y"),
                ("FastGelu", "x"),
                ("Cast", "x"),
            ],
            {},
        )
    )

    assert kernels.integer == {"MatMulIntegerToFloat": 2, "QAttention": 1}
    assert kernels.weight_only == {"MatMulNBits": 1}
    assert kernels.fused == {"attention": 2, "skip_layer_norm": 1, "gelu": 2}
    assert kernels.operators["Cast"] == 1
    assert kernels.counts == {
        "MatMulIntegerToFloat": 2,
        "QAttention": 1,
        "MatMulNBits": 1,
        "attention": 2,
        "skip layer norm": 1,
        "gelu": 2,
        "float weight products": 0,
        "all operators": 9,
    }


def test_float_products_are_named_also_behind_dequantized_weights() -> None:
    weight = np.zeros((2, 2), np.float32)
    kernels = count_kernels(
        graph_of(
            [
                ("MatMul", "x layer.0.dense.weight_t"),
                ("DequantizeLinear", "layer.1.dense.weight_t.int8 scale"),
                ("FusedMatMul", "x dq"),
                ("MatMul", "x y"),  # of two activations
                ("Gemm", "x bias"),  # a vector is no weight
            ],
            {
                "layer.0.dense.weight_t": weight,
                "layer.1.dense.weight_t.int8": weight.astype(np.int8),
                "bias": weight[0],
            },
        )
    )

    assert kernels.float_products == ("layer.0.dense", "layer.1.dense")
