"""The coarsest numbers of a graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import transformers

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.parity.precision import coarser, graph_precision
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt

BOOLEAN_MASKS = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("float", "fp32"),
        ("dynamic", "int8"),
        ("static without tables", "int8"),
        ("4 bits", "int4"),
        pytest.param("fp16", "fp16", marks=BOOLEAN_MASKS),
        pytest.param("bf16", "bf16", marks=BOOLEAN_MASKS),
    ],
)
def test_the_coarsest_type_is_found(
    kind: str,
    expected: str,
    tiny_graph: Callable[..., OnnxModel],
    wide: Context,
) -> None:
    graph = tiny_graph()
    makers: dict[str, Callable[[OnnxModel], OnnxModel]] = {
        "float": lambda model: model,
        "dynamic": QuantizeDynamic(),
        "static without tables": lambda model: QuantizeStatic(embeddings=False)(model, wide),
        "4 bits": QuantizeWeights(bits=4),
        "fp16": QuantizeTensorrt(precision="fp16"),
        "bf16": QuantizeTensorrt(precision="bf16"),
    }

    assert graph_precision(makers[kind](graph).graph) == expected


def test_coarser_is_a_maximum() -> None:
    assert coarser("fp32") == "fp32"
    assert coarser("int4", "fp8", "fp16") == "int4"
    assert coarser("int8", "fp8") == "fp8"
