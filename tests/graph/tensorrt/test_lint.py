"""No rule of the lint fires on a finished graph; breaches come in order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import transformers

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.edit import copy_of
from bertcompress.graph.tensorrt.lint import lint
from bertcompress.graph.tensorrt.target import TARGETS
from fixtures.lint import QUERY, breaches, first, set_constant

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)

Make = Callable[..., onnx.ModelProto]


@pytest.mark.parametrize(
    ("precision", "target", "attention"),
    [
        ("int8", "10.14", False),
        ("int8", "10.14", True),
        ("int8", "10.0", True),
        ("int8", "8.6", False),
        ("int8", "8.5", True),
        ("fp8", "10.14", False),
        ("fp8", "10.0", False),
        ("fp16", "10.14", False),
        ("fp16", "8.5", False),
        ("bf16", "10.0", False),
    ],
)
def test_a_finished_graph_breaks_no_rule(
    precision: str, target: str, attention: bool, for_tensorrt: Make
) -> None:
    graph = for_tensorrt(precision=precision, target=target, attention=attention)
    quantized = [QUERY] if precision in ("int8", "fp8") else []
    assert breaches(graph, target=target, quantized=quantized) == {}


def test_a_graph_for_onnx_runtime_is_none_for_tensorrt(
    tiny_graph: Callable[..., OnnxModel],
) -> None:
    from bertcompress.passes.quantize.quantize_weights import QuantizeWeights

    graph = QuantizeWeights(bits=4)(tiny_graph()).graph
    assert {"opset", "operators", "inputs"} <= set(breaches(graph))


def test_errors_come_first_and_the_graph_is_left_alone(for_tensorrt: Make) -> None:
    graph = for_tensorrt()
    set_constant(graph, first(graph, "QuantizeLinear").input[2], np.int8(12))
    before = copy_of(graph)
    severities = [one.severity for one in lint(graph, TARGETS["10.14"])]
    assert severities == sorted(severities)
    assert set(severities) == {"error", "slow"}
    assert graph == before
