"""What all three quantize passes keep: integer kernels, answers, size, the audit that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.bert.loading.load import load
from bertcompress.bert.surgery import cut
from bertcompress.errors import (
    CalibrationError,
    FusionAuditError,
    ParityError,
    PassError,
    UsageError,
)
from bertcompress.graph.products import weight_products
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.audit import audit
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.quantize_weights import QuantizeWeights
from bertcompress.runtimes.ort.runtime import run_graph

Graphs = Callable[..., OnnxModel]
Checkpoints = Callable[..., Checkpoint]
Calibrator = Callable[[OnnxModel], CalibrationTable]
Make = Callable[[Calibrator], QuantizeStatic | QuantizeDynamic | QuantizeWeights]

PASSES: dict[str, Make] = {
    "static": lambda calibrate: QuantizeStatic(calibrate),
    "portable": lambda calibrate: QuantizeStatic(calibrate, portable=True),
    "dynamic": lambda calibrate: QuantizeDynamic(),
    "int4": lambda calibrate: QuantizeWeights(bits=4),
    "int8 weights": lambda calibrate: QuantizeWeights(bits=8),
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


def feed_of(batch: int, length: int, *, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "input_ids": generator.integers(5, 80, (batch, length)),
        "attention_mask": np.ones((batch, length), dtype=np.int64),
        "token_type_ids": np.zeros((batch, length), dtype=np.int64),
    }


@pytest.mark.parametrize("name", PASSES)
def test_every_product_but_the_head_runs_on_integers(
    name: str, tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    result = PASSES[name](wide_ranges)(tiny_graph())

    kernels = result.history[-1].details["kernels"]
    assert isinstance(kernels, dict)
    assert {key: kernels[key] for key in KERNELS[name]} == KERNELS[name]
    assert kernels["attention"] == 2
    assert kernels["float weight products"] == 1
    assert result.history[-1].details["left in float"] == "classifier"


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", PASSES)
def test_the_answers_stay_near(
    name: str, task: str, tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    graph = tiny_graph(task=task)
    result = PASSES[name](wide_ranges)(graph)

    feed = feed_of(2, 12)
    (expected,), (got,) = run_graph(graph.graph, [feed]), run_graph(result.graph, [feed])
    limit = 0.35 if name == "int4" else 0.15
    for output, values in expected.items():
        error = np.linalg.norm(values - got[output]) / np.linalg.norm(values)
        assert 0 < error < limit, output


@pytest.mark.parametrize("name", PASSES)
def test_the_file_is_smaller_and_the_input_is_left_alone(
    name: str, tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    graph = tiny_graph()
    before = graph.graph.SerializeToString()

    result = PASSES[name](wide_ranges)(graph)

    assert graph.graph.SerializeToString() == before
    assert result.size_bytes < 0.75 * graph.size_bytes
    assert result.history[0].name == "ExportOnnx"


@pytest.mark.parametrize("name", PASSES)
def test_twice_the_same_bytes(name: str, tiny_graph: Graphs, wide_ranges: Calibrator) -> None:
    make = PASSES[name]
    first, second = make(wide_ranges)(tiny_graph()), make(wide_ranges)(tiny_graph())
    assert first.graph.SerializeToString() == second.graph.SerializeToString()


@pytest.mark.parametrize("name", PASSES)
def test_saved_and_loaded_it_answers_the_same(
    name: str, tiny_graph: Graphs, wide_ranges: Calibrator, tmp_path: Path
) -> None:
    result = PASSES[name](wide_ranges)(tiny_graph())
    save(result, tmp_path / "out")
    again = load(tmp_path / "out")
    assert isinstance(again, OnnxModel)

    feed = feed_of(2, 9)
    (first,), (second,) = run_graph(result.graph, [feed]), run_graph(again.graph, [feed])
    np.testing.assert_array_equal(first["logits"], second["logits"])


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 128), (64, 3)])
def test_the_edges_of_length_and_batch(
    name: str, batch: int, length: int, tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    result = PASSES[name](wide_ranges)(tiny_graph())
    (got,) = run_graph(result.graph, [feed_of(batch, length)])
    assert got["logits"].shape == (batch, 2)
    assert np.isfinite(got["logits"]).all()


@pytest.mark.parametrize("name", PASSES)
def test_what_pruning_leaves_is_quantized(
    name: str, tiny_checkpoint: Checkpoints, wide_ranges: Calibrator
) -> None:
    checkpoint = tiny_checkpoint()
    model = cut(checkpoint.model, heads=((0, 1, 3), ()), ffn=(tuple(range(37)), tuple(range(5))))
    graph = ExportOnnx()(replace(checkpoint, model=model))

    result = PASSES[name](wide_ranges)(graph)

    kernels = result.history[-1].details["kernels"]
    assert isinstance(kernels, dict)
    assert kernels["float weight products"] == 1


@pytest.mark.parametrize("name", PASSES)
def test_a_quantized_graph_is_not_quantized_again(
    name: str, tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    result = PASSES[name](wide_ranges)(tiny_graph())
    with pytest.raises(UsageError, match="quantized already"):
        PASSES[name](wide_ranges)(result)


@pytest.mark.parametrize("name", PASSES)
def test_a_checkpoint_must_be_exported_first(
    name: str, tiny_checkpoint: Checkpoints, wide_ranges: Calibrator
) -> None:
    with pytest.raises(PassError, match="export it first"):
        PASSES[name](wide_ranges)(tiny_checkpoint())


def test_modules_can_be_kept_in_float(tiny_graph: Graphs, wide_ranges: Calibrator) -> None:
    keep = ("classifier", "bert.encoder.layer.0.*")
    result = QuantizeStatic(wide_ranges, keep_float=keep)(tiny_graph())

    kernels = result.history[-1].details["kernels"]
    assert isinstance(kernels, dict)
    assert kernels["float weight products"] == 7
    assert "bert.encoder.layer.0.output.dense" in str(result.history[-1].details["left in float"])


def test_embeddings_can_be_kept_in_float(tiny_graph: Graphs, wide_ranges: Calibrator) -> None:
    with_tables = QuantizeStatic(wide_ranges)(tiny_graph())
    without = QuantizeStatic(wide_ranges, embeddings=False)(tiny_graph())
    assert with_tables.size_bytes < without.size_bytes
    assert "word_embeddings" in str(with_tables.history[-1].details["int8 embedding tables"])


def test_static_answers_do_not_depend_on_batch_mates(
    tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    result = QuantizeStatic(wide_ranges)(tiny_graph())
    batch = feed_of(4, 10)
    alone = [{name: values[row : row + 1] for name, values in batch.items()} for row in range(4)]

    (together,) = run_graph(result.graph, [batch])
    single = run_graph(result.graph, alone)

    np.testing.assert_array_equal(
        together["logits"], np.concatenate([one["logits"] for one in single])
    )


def test_query_key_and_value_share_one_quantization(
    tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    result = QuantizeStatic(wide_ranges)(tiny_graph())
    count = sum(node.op_type == "QuantizeLinear" for node in result.graph.graph.node)
    # Four distinct inputs a layer, the last query's (one token) and the pooler's.
    assert count == 2 * 4 + 2


def test_a_pattern_that_fits_nothing_is_refused(
    tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    with pytest.raises(UsageError, match=r"fits no module.*did you mean 'bert\.pooler\.dense'"):
        QuantizeStatic(wide_ranges, keep_float=("bert.poller.dense",))(tiny_graph())


def test_a_missing_range_is_named(tiny_graph: Graphs, wide_ranges: Calibrator) -> None:
    def calibrate(model: OnnxModel) -> CalibrationTable:
        table = wide_ranges(model)
        ranges = {key: one for key, one in table.ranges.items() if "pooler" not in key}
        return replace(table, ranges=ranges)

    with pytest.raises(CalibrationError, match=r"bert\.pooler\.dense"):
        QuantizeStatic(calibrate)(tiny_graph())


def test_neighbours_with_other_ranges_are_refused(
    tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    def calibrate(model: OnnxModel) -> CalibrationTable:
        table = wide_ranges(model)
        key = "bert.encoder.layer.0.attention.self.key"
        none = np.zeros(0, dtype=np.int64)
        other = TensorRange(table.ranges[key].tensor, -1.0, 1.0, -1.0, 1.0, 1, none)
        return replace(table, ranges={**table.ranges, key: other})

    with pytest.raises(CalibrationError, match="another range than its neighbour"):
        QuantizeStatic(calibrate)(tiny_graph())


def test_ranges_that_cut_everything_off_are_a_collapse(
    tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    def calibrate(model: OnnxModel) -> CalibrationTable:
        table = wide_ranges(model)
        none = np.zeros(0, dtype=np.int64)
        return replace(
            table,
            ranges={
                key: TensorRange(one.tensor, -1e-4, 1e-4, -1e-4, 1e-4, 1, none)
                for key, one in table.ranges.items()
            },
        )

    with pytest.raises(ParityError, match="collapsed"):
        QuantizeStatic(calibrate)(tiny_graph())


def test_the_audit_fails_when_a_product_was_left_in_float(tiny_graph: Graphs) -> None:
    graph = tiny_graph()
    products = weight_products(graph.graph)
    with pytest.raises(FusionAuditError, match="leaves 13 of"):
        audit(graph.graph, products[-1:], products[:-1])


def test_the_audit_fails_when_signed_activations_stay_in_float(
    tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    result = QuantizeStatic(wide_ranges, portable=True)(tiny_graph())
    signed = onnx.ModelProto()
    signed.CopyFrom(result.graph)
    for tensor in signed.graph.initializer:
        if tensor.name.endswith(".zero_point") and tensor.data_type == onnx.TensorProto.UINT8:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(np.int8(0)), tensor.name))
    products = weight_products(tiny_graph().graph)

    with pytest.raises(FusionAuditError):
        audit(signed, products[-1:], products[:-1])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: QuantizeWeights(bits=7), "bits must be 4 or 8, got 7"),
        (lambda: QuantizeWeights(block_size=33), "block_size must be one of"),
        (lambda: QuantizeDynamic(keep_float=("",)), "keep_float takes module names"),
    ],
)
def test_bad_settings(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make()


def test_the_quantizers_do_not_set_up_logging(
    tiny_graph: Graphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])  # a warning at the root would set one up
    before = (root.level, list(root.handlers), root.manager.disable)

    QuantizeDynamic()(tiny_graph())

    assert (root.level, list(root.handlers), root.manager.disable) == before
