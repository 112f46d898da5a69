"""Operations of graphs, against numbers computed by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bertcompress.profiling.operations import Operations
from bertcompress.profiling.operations_graph import graph_operations


def graph_of(
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, NDArray[np.generic]],
    kind: int = TensorProto.FLOAT,
    shape: tuple[str | int, ...] = ("batch", "sequence", 8),
) -> onnx.ModelProto:
    return helper.make_model(
        helper.make_graph(
            nodes,
            "made",
            [helper.make_tensor_value_info("x", kind, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(values, name) for name, values in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)],
    )


def node(operator: str, inputs: str, output: str, **attributes: int | list[int]) -> onnx.NodeProto:
    domain = "com.microsoft" if operator in ("MatMulNBits", "QAttention") else ""
    made = helper.make_node(operator, inputs.split(), [output], domain=domain)
    made.attribute.extend(helper.make_attribute(*one) for one in attributes.items())
    return made


@pytest.mark.parametrize(("level", "is_integer"), [(4, True), (0, False)])
def test_the_accuracy_level_decides(level: int, is_integer: bool) -> None:
    packed: dict[str, NDArray[np.generic]] = {
        "w": np.zeros((16, 1, 4), np.uint8),
        "s": np.ones(16, np.float32),
    }
    product = node("MatMulNBits", "x w s", "y", K=8, N=16, bits=4, accuracy_level=level)

    found = graph_operations(graph_of([product], packed))

    assert found.integer_per_token == (256 if is_integer else 0)
    assert found.float_per_token == (0 if is_integer else 256)
    assert found.weight_bytes == 16 * 4 + 16 * 4


def test_a_product_between_dequantized_values_is_an_integer_one() -> None:
    constants: dict[str, NDArray[np.generic]] = {
        "w": np.zeros((8, 16), np.int8),
        "s": np.array(0.1, np.float32),
        "z": np.array(3, np.uint8),
    }
    weight = node("DequantizeLinear", "w s", "wd")
    both = [
        node("QuantizeLinear", "x s z", "xq"),
        node("DequantizeLinear", "xq s z", "xd"),
        weight,
        node("MatMul", "xd wd", "y"),
    ]
    weight_alone = [weight, node("MatMul", "x wd", "y")]

    assert graph_operations(graph_of(both, constants)).integer_per_token == 2 * 8 * 16
    assert graph_operations(graph_of(weight_alone, constants)).float_per_token == 2 * 8 * 16


def test_attention_in_single_products_and_transposed_weights() -> None:
    weights: dict[str, NDArray[np.generic]] = {
        "wk": np.zeros((8, 12), np.float32),
        "wv": np.zeros((8, 20), np.float32),
    }
    nodes = [
        node("MatMul", "x wk", "k"),
        node("MatMul", "x wv", "v"),
        node("Transpose", "k", "kt", perm=[0, 2, 1]),
        node("MatMul", "k kt", "scores"),
        node("Softmax", "scores", "shares"),
        node("MatMul", "shares v", "y"),
    ]
    gemm = [node("Gemm", "x w", "y", transB=1)]

    found = graph_operations(graph_of(nodes, weights))
    pooled = graph_operations(
        graph_of(gemm, {"w": np.zeros((3, 8), np.float32)}, shape=("batch", 8))
    )

    assert found.attention_width == 12 + 20
    assert found.float_per_token == 2 * 8 * 32
    assert pooled == Operations(float_per_sentence=2 * 8 * 3, weight_bytes=3 * 8 * 4)


def test_a_packed_attention_is_product_and_attention() -> None:
    stored: dict[str, NDArray[np.generic]] = {
        "w": np.zeros((8, 48), np.uint8),
        "b": np.zeros(48, np.float32),
    }
    packed = node("QAttention", "x w b", "y", num_heads=2)

    found = graph_operations(graph_of([packed], stored, TensorProto.UINT8))

    assert found.integer_per_token == 2 * 8 * 48
    assert found.attention_width == 32
