"""Graphs for TensorRT: placement, precision, targets, gates, and the same answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import transformers

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.bert.loading.load import load
from bertcompress.bert.surgery import cut
from bertcompress.errors import CalibrationError, ExportError, ParityError, PassError, UsageError
from bertcompress.examples import Example
from bertcompress.graph.attention_products import AttentionNode, attention_operands
from bertcompress.graph.half import emulated
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.ranges import Ranges
from bertcompress.passes.tensorrt.plan import attention_reason
from bertcompress.passes.tensorrt.quantize_tensorrt import PRECISIONS, Precision, QuantizeTensorrt
from bertcompress.runtimes.ort.runtime import run_graph
from fixtures.examples import giving, wide_table
from fixtures.feeds import feed_of

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)

Graphs = Callable[..., OnnxModel]
Checkpoints = Callable[..., Checkpoint]

LIMITS = {"int8": 0.15, "fp8": 0.2, "fp16": 5e-3, "bf16": 5e-2}
TARGETS = ("10.14", "10.0", "8.6", "8.5")


@pytest.fixture(scope="module")
def with_attention() -> Context:
    """Gives ranges inside attention too."""

    def find(model: OnnxModel) -> CalibrationTable:
        table = wide_table(model)
        none = np.zeros(0, dtype=np.int64)
        inside = {
            one.module: TensorRange(one.tensor, -6.0, 6.0, -6.0, 6.0, 1, none)
            for one in attention_operands(model.graph)
        }
        return replace(table, ranges={**table.ranges, **inside})

    return giving(find)


def error_of(result: OnnxModel, graph: OnnxModel, batch: int = 2, length: int = 12) -> float:
    feed = feed_of(batch, length)
    (expected,) = run_graph(graph.graph, [feed])
    (got,) = run_graph(emulated(result.graph), [feed], as_written=True)
    assert list(expected) == list(got)
    return max(
        float(np.linalg.norm(values - got[name]) / np.linalg.norm(values))
        for name, values in expected.items()
    )


def precision_of(result: OnnxModel) -> dict[str, tuple[str, str]]:
    rows = result.history[-1].details["precision"]
    assert isinstance(rows, list)
    return {row["module"]: (row["precision"], row["reason"]) for row in rows}


@pytest.mark.parametrize(
    ("precision", "target"),
    [
        *((precision, target) for precision in ("int8", "fp16") for target in TARGETS),
        *((precision, target) for precision in ("fp8", "bf16") for target in TARGETS[:2]),
    ],
)
def test_the_answers_stay_near(
    precision: Precision, target: str, tiny_graph: Graphs, wide: Context
) -> None:
    result = QuantizeTensorrt(precision=precision, target=target)(tiny_graph(), wide)

    error = error_of(result, tiny_graph())
    untouched = precision == "fp16" and target.startswith("8")  # a flag of the builder there
    assert error < (1e-5 if untouched else LIMITS[precision])
    assert untouched or error > 0
    onnx.checker.check_model(result.graph, full_check=True)


@pytest.mark.parametrize(
    "task", ["token-classification", "question-answering", "feature-extraction"]
)
@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_every_task(precision: Precision, task: str, tiny_graph: Graphs, wide: Context) -> None:
    graph = tiny_graph(task=task)
    result = QuantizeTensorrt(precision=precision)(graph, wide)
    assert 0 < error_of(result, graph) < LIMITS[precision]


def test_what_is_quantized_and_what_is_not(tiny_graph: Graphs, wide: Context) -> None:
    result = QuantizeTensorrt(precision="int8")(tiny_graph(), wide)

    rows = precision_of(result)
    assert Counter(precision for precision, _ in rows.values()) == {"int8": 12, "fp16": 2}
    assert rows["bert.pooler.dense"] == (
        "fp16",
        "one row a text: a product with a vector at batch 1",
    )
    assert rows["classifier"] == ("fp16", "keep_float names it")
    details = result.history[-1].details
    assert "opset 23; strongly typed" in str(details["tensorrt"])
    assert "no engine was built" in str(details["checked"])
    kinds = Counter(node.op_type for node in result.graph.graph.node)
    assert kinds["QuantizeLinear"] == 8  # four distinct inputs a layer
    assert kinds["DequantizeLinear"] == 8 + 12


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_edges_of_length_and_batch(
    precision: Precision, tiny_graph: Graphs, wide: Context
) -> None:
    result = QuantizeTensorrt(precision=precision)(tiny_graph(), wide)
    for batch, length in ((1, 1), (1, 128), (64, 3)):
        (got,) = run_graph(emulated(result.graph), [feed_of(batch, length)], as_written=True)
        assert got["logits"].shape == (batch, 2)
        assert np.isfinite(got["logits"]).all()


@pytest.mark.parametrize("target", TARGETS)
def test_what_pruning_leaves(target: str, tiny_checkpoint: Checkpoints, wide: Context) -> None:
    checkpoint = tiny_checkpoint()
    model = cut(checkpoint.model, heads=((0, 1, 3), ()), ffn=(tuple(range(37)), tuple(range(5))))
    graph = ExportOnnx()(replace(checkpoint, model=model))

    result = QuantizeTensorrt(precision="int8", target=target)(graph, wide)

    assert 0 < error_of(result, graph) < LIMITS["int8"]
    rows = precision_of(result)
    assert rows["bert.encoder.layer.0.intermediate.dense"] == ("int8", "")
    assert rows["bert.encoder.layer.1.intermediate.dense"] == ("fp16", "weight of 32 × 5, below 16")
    slow = str(result.history[-1].details["slow_widths"])
    assert "bert.encoder.layer.0.intermediate.dense has a width of 37, no multiple of 32" in slow
    assert "bert.encoder.layer.0.attention.output.dense has a width of 24" in slow


# --- one table, two runtimes ----------------------------------------------------------------------


def test_one_saved_table_serves_onnx_runtime_and_tensorrt(
    tiny_graph: Graphs,
    examples: Callable[..., tuple[Example, ...]],
    calibrated: Callable[..., Context],
    tmp_path: Path,
) -> None:
    graph = tiny_graph()
    context = calibrated(examples())
    found = context.ranges_of(graph, Ranges(), seed=0, attention=True)
    table = Ranges(table=str(found.save(tmp_path / "table.safetensors")))

    for_ort = QuantizeStatic(table)(graph, context)
    for_tensorrt = QuantizeTensorrt(table)(graph, context)
    inside = QuantizeTensorrt(table, attention=True)(graph, context)

    tensor = "layer_norm"
    seen = next(one for one in found.ranges.values() if one.tensor == tensor)
    scales = {
        kind: next(
            float(onnx.numpy_helper.to_array(one))
            for one in result.graph.graph.initializer
            if one.name == f"{tensor}.scale"
        )
        for kind, result in (("ort", for_ort), ("trt", for_tensorrt))
    }
    assert scales["ort"] == pytest.approx((seen.high - seen.low) / 255, rel=1e-6)
    assert scales["trt"] == pytest.approx(max(-seen.low, seen.high) / 127, rel=2**-10)
    for result in (for_tensorrt, inside):
        assert error_of(result, graph) < LIMITS["int8"]
    assert found.ranges["bert.encoder.layer.0.attention.self.query:out"].maximum > 0


def test_a_table_of_other_weights_is_refused(
    tiny_graph: Graphs, calibrated: Callable[..., Context], tmp_path: Path
) -> None:
    table = replace(wide_table(tiny_graph()), weights_fingerprint="of another")
    saved = Ranges(table=str(table.save(tmp_path / "table.safetensors")))
    with pytest.raises(CalibrationError, match="made for the weights of another"):
        QuantizeTensorrt(saved)(tiny_graph(), calibrated())


# --- attention ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["10.14", "10.0"])
def test_int8_attention(target: str, tiny_graph: Graphs, with_attention: Context) -> None:
    result = QuantizeTensorrt(precision="int8", attention=True, target=target)(
        tiny_graph(), with_attention
    )

    kinds = Counter(node.op_type for node in result.graph.graph.node)
    assert (kinds["Attention"], kinds["Softmax"]) == (0, 2)
    assert kinds["QuantizeLinear"] == 8 + 2 * 4
    assert precision_of(result)["node_scaled_dot_product_attention"] == ("int8", "")
    plain = QuantizeTensorrt(precision="int8", target=target)(tiny_graph(), with_attention)
    error = error_of(result, tiny_graph())
    assert error < LIMITS["int8"]
    assert error != error_of(plain, tiny_graph())


def test_attention_that_no_kernel_takes_stays_in_half_precision(
    tiny_graph: Graphs, with_attention: Context
) -> None:
    long = QuantizeTensorrt(precision="int8", attention=True, longest=600)(
        tiny_graph(), with_attention
    )
    small = QuantizeTensorrt(precision="fp8", attention=True)(tiny_graph(), with_attention)

    for result, reason in ((long, "texts of 600 tokens"), (small, "heads of 8, FP8")):
        precision, why = precision_of(result)["node_scaled_dot_product_attention"]
        assert precision == "fp16"
        assert reason in why
        assert sum(node.op_type == "Attention" for node in result.graph.graph.node) == 2


@pytest.mark.parametrize(
    ("kind", "size", "longest", "words"),
    [
        ("int8", 64, 512, ""),
        ("int8", 64, 513, "past the 512"),
        ("int8", 1, 128, "a vector"),
        ("int8", 64, 1, "a vector"),
        ("fp8", 8, 128, "heads of 8"),
        ("fp8", 9, 4096, ""),
        ("fp8", 256, 128, ""),
        ("fp8", 257, 128, "heads of 257"),
    ],
)
def test_the_gates_of_attention(kind: str, size: int, longest: int, words: str) -> None:
    node = AttentionNode("a", "q", "k", "v", None, 4, 0.1, size)
    reason = attention_reason(node, kind, longest)  # type: ignore[arg-type]  # a test's parameter
    assert words in reason
    assert bool(words) == bool(reason)


def test_a_table_without_attentions_ranges_is_told(tiny_graph: Graphs, wide: Context) -> None:
    with pytest.raises(CalibrationError, match=r"no range for .*attention\.self\.query:out"):
        QuantizeTensorrt(precision="int8", attention=True)(tiny_graph(), wide)


# --- the contract of passes -----------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
def test_twice_the_same_bytes_and_the_input_is_left_alone(
    precision: Precision, tiny_graph: Graphs, wide: Context
) -> None:
    graph = tiny_graph()
    before = graph.graph.SerializeToString()
    first, second = (
        QuantizeTensorrt(precision=precision)(graph, wide),
        QuantizeTensorrt(precision=precision)(graph, wide),
    )
    assert first.graph.SerializeToString() == second.graph.SerializeToString()
    assert graph.graph.SerializeToString() == before
    assert first.size_bytes < 0.75 * graph.size_bytes


def test_saved_and_loaded_it_answers_the_same(
    tiny_graph: Graphs, wide: Context, tmp_path: Path
) -> None:
    for precision in ("int8", "fp8"):
        result = QuantizeTensorrt(precision=precision)(tiny_graph(), wide)
        save(result, tmp_path / precision)
        again = load(tmp_path / precision)
        assert isinstance(again, OnnxModel)
        (first,), (second,) = (run_graph(one.graph, [feed_of(2, 9)]) for one in (result, again))
        np.testing.assert_array_equal(first["logits"], second["logits"])


def test_ranges_that_cut_everything_off_are_a_collapse(tiny_graph: Graphs, wide: Context) -> None:
    def find(model: OnnxModel) -> CalibrationTable:
        table = wide_table(model)
        none = np.zeros(0, dtype=np.int64)
        tiny = {
            key: TensorRange(one.tensor, -1e-4, 1e-4, -1e-4, 1e-4, 1, none)
            for key, one in table.ranges.items()
        }
        return replace(table, ranges=tiny)

    with pytest.raises(ParityError, match="collapsed"):
        QuantizeTensorrt(precision="int8")(tiny_graph(), giving(find))


def test_a_broken_rule_is_an_error(tiny_graph: Graphs) -> None:
    graph = onnx.ModelProto()
    graph.CopyFrom(tiny_graph().graph)
    next(node for node in graph.graph.node if node.op_type == "Tanh").op_type = "Softsign"
    with pytest.raises(ExportError, match=r"first operators: .*Softsign"):
        QuantizeTensorrt(precision="fp16")(replace(tiny_graph(), graph=graph))


def test_an_export_of_another_opset_is_refused(tiny_checkpoint: Checkpoints) -> None:
    graph = ExportOnnx(opset=18)(tiny_checkpoint())
    with pytest.raises(UsageError, match="of opset 18; export it with opset 23"):
        QuantizeTensorrt(precision="fp16")(graph)


def test_a_graph_is_not_quantized_twice(tiny_graph: Graphs, wide: Context) -> None:
    result = QuantizeTensorrt(precision="int8")(tiny_graph(), wide)
    with pytest.raises(UsageError, match="quantized already"):
        QuantizeTensorrt(precision="int8")(result, wide)


def test_a_checkpoint_must_be_exported_first(tiny_checkpoint: Checkpoints) -> None:
    with pytest.raises(PassError, match="export it first"):
        QuantizeTensorrt(precision="fp16")(tiny_checkpoint())


def test_nothing_to_quantize_is_told(tiny_graph: Graphs, wide: Context) -> None:
    keep = ("classifier", "bert.encoder.*")
    with pytest.raises(UsageError, match=r"nothing to quantize for TensorRT; take .* fp16"):
        QuantizeTensorrt(precision="int8", keep_float=keep)(tiny_graph(), wide)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"precision": "int4"}, "precision must be one of int8, fp8, fp16, bf16, got 'int4'"),
        ({"precision": "fp16", "ranges": Ranges(samples=3)}, "samples is not used with fp16"),
        ({"precision": "bf16", "ranges": Ranges(table="t")}, "table is not used with bf16, which"),
        ({"precision": "fp16", "target": "9"}, "target must be one of 10.14, 10.0, 8.6, 8.5"),
        ({"precision": "bf16", "target": "8.6"}, "TensorRT 8.6 has no bf16"),
        ({"precision": "fp8", "target": "8.5"}, "TensorRT 8.5 has no fp8"),
        ({"precision": "fp16", "attention": True}, "attention is for int8 and fp8"),
        ({"precision": "fp16", "longest": 0}, "longest must be 1 or more"),
        ({"precision": "fp16", "keep_float": ("",)}, "keep_float takes module names"),
    ],
)
def test_bad_settings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        QuantizeTensorrt(**settings)


def test_eight_bits_need_data_or_a_table(tiny_graph: Graphs) -> None:
    with pytest.raises(UsageError, match="static ranges are found on data and none was given"):
        QuantizeTensorrt()(tiny_graph())
