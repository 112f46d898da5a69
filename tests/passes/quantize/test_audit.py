"""What all quantize passes keep: integer kernels, answers, size, the audit that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.bert.surgery import cut
from bertcompress.errors import (
    FusionAuditError,
    PassError,
    UsageError,
)
from bertcompress.graph.products import weight_products
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.audit import audit
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.runtimes.ort.runtime import run_graph
from fixtures.feeds import feed_of

Graphs = Callable[..., OnnxModel]
Checkpoints = Callable[..., Checkpoint]

PASSES = {
    "static": QuantizeStatic(),
    "portable": QuantizeStatic(portable=True),
    "dynamic": QuantizeDynamic(),
    "int4": QuantizeWeights(bits=4),
    "int8 weights": QuantizeWeights(bits=8),
}
KERNELS = {
    "static": {"MatMulIntegerToFloat": 13},
    "portable": {"MatMulIntegerToFloat": 12, "MatMulInteger": 1},
    "dynamic": {"MatMulIntegerToFloat": 5, "DynamicQuantizeMatMul": 8},
    "int4": {"MatMulNBits": 13},
    "int8 weights": {"MatMulNBits": 13},
}
TASKS = (
    "text-classification",
    "token-classification",
    "question-answering",
    "feature-extraction",
)


def quantized(name: str, model: OnnxModel, wide: Context) -> OnnxModel:
    """Returns the graph; weights are rounded without texts."""
    pass_ = PASSES[name]
    return pass_(model) if isinstance(pass_, QuantizeWeights) else pass_(model, wide)


@pytest.mark.parametrize("name", PASSES)
def test_every_product_but_the_head_runs_on_integers(
    name: str, tiny_graph: Graphs, wide: Context
) -> None:
    result = quantized(name, tiny_graph(), wide)

    kernels = result.history[-1].details["kernels"]
    assert isinstance(kernels, dict)
    assert {key: kernels[key] for key in KERNELS[name]} == KERNELS[name]
    assert kernels["attention"] == 2
    assert kernels["float weight products"] == 1
    assert result.history[-1].details["left_in_float"] == "classifier"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", PASSES)
def test_the_answers_stay_near(name: str, task: str, tiny_graph: Graphs, wide: Context) -> None:
    graph = tiny_graph(task=task)
    result = quantized(name, graph, wide)

    feed = feed_of(2, 12)
    (expected,), (got,) = run_graph(graph.graph, [feed]), run_graph(result.graph, [feed])
    limit = 0.35 if name == "int4" else 0.15
    for output, values in expected.items():
        error = np.linalg.norm(values - got[output]) / np.linalg.norm(values)
        assert 0 < error < limit, output


@pytest.mark.parametrize("name", PASSES)
def test_the_file_is_smaller_and_the_input_is_left_alone(
    name: str, tiny_graph: Graphs, wide: Context
) -> None:
    graph = tiny_graph()
    before = graph.graph.SerializeToString()

    result = quantized(name, graph, wide)

    assert graph.graph.SerializeToString() == before
    assert result.size_bytes < 0.75 * graph.size_bytes
    assert result.history[0].name == "ExportOnnx"


@pytest.mark.parametrize("name", PASSES)
def test_twice_the_same_bytes(name: str, tiny_graph: Graphs, wide: Context) -> None:
    first, second = quantized(name, tiny_graph(), wide), quantized(name, tiny_graph(), wide)
    assert first.graph.SerializeToString() == second.graph.SerializeToString()


@pytest.mark.parametrize("name", PASSES)
def test_saved_and_loaded_it_answers_the_same(
    name: str, tiny_graph: Graphs, wide: Context, tmp_path: Path
) -> None:
    result = quantized(name, tiny_graph(), wide)
    save(result, tmp_path / "out")
    again = load(tmp_path / "out")
    assert isinstance(again, OnnxModel)

    feed = feed_of(2, 9)
    (first,), (second,) = run_graph(result.graph, [feed]), run_graph(again.graph, [feed])
    np.testing.assert_array_equal(first["logits"], second["logits"])


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 128), (64, 3)])
def test_the_edges_of_length_and_batch(
    name: str, batch: int, length: int, tiny_graph: Graphs, wide: Context
) -> None:
    result = quantized(name, tiny_graph(), wide)
    (got,) = run_graph(result.graph, [feed_of(batch, length)])
    assert got["logits"].shape == (batch, 2)
    assert np.isfinite(got["logits"]).all()


@pytest.mark.parametrize("name", PASSES)
def test_what_pruning_leaves_is_quantized(
    name: str, tiny_checkpoint: Checkpoints, wide: Context
) -> None:
    checkpoint = tiny_checkpoint()
    model = cut(checkpoint.model, heads=((0, 1, 3), ()), ffn=(tuple(range(37)), tuple(range(5))))
    graph = ExportOnnx()(replace(checkpoint, model=model))

    result = quantized(name, graph, wide)

    kernels = result.history[-1].details["kernels"]
    assert isinstance(kernels, dict)
    assert kernels["float weight products"] == 1


@pytest.mark.parametrize("name", PASSES)
def test_a_quantized_graph_is_not_quantized_again(
    name: str, tiny_graph: Graphs, wide: Context
) -> None:
    result = quantized(name, tiny_graph(), wide)
    with pytest.raises(UsageError, match="quantized already"):
        quantized(name, result, wide)


@pytest.mark.parametrize("name", PASSES)
def test_a_checkpoint_must_be_exported_first(
    name: str, tiny_checkpoint: Checkpoints, wide: Context
) -> None:
    with pytest.raises(PassError, match="export it first"):
        quantized(name, tiny_checkpoint(), wide)


def test_the_audit_fails_when_a_product_was_left_in_float(tiny_graph: Graphs) -> None:
    graph = tiny_graph()
    products = weight_products(graph.graph)
    with pytest.raises(FusionAuditError, match="leaves 13 of"):
        audit(graph.graph, products[-1:], products[:-1])


def test_the_audit_fails_when_signed_activations_stay_in_float(
    tiny_graph: Graphs, wide: Context
) -> None:
    result = QuantizeStatic(portable=True)(tiny_graph(), wide)
    signed = onnx.ModelProto()
    signed.CopyFrom(result.graph)
    for tensor in signed.graph.initializer:
        if tensor.name.endswith(".zero_point") and tensor.data_type == onnx.TensorProto.UINT8:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(np.int8(0)), tensor.name))
    products = weight_products(tiny_graph().graph)

    with pytest.raises(FusionAuditError):
        audit(signed, products[-1:], products[:-1])
