"""Half precision: smaller, the same answers, the right sums, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import transformers
from onnx import TensorProto

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel, save
from bertcompress.bert.loading.load import load
from bertcompress.errors import ExportError, PassError, UsageError
from bertcompress.graph.edit import copy_of
from bertcompress.parity.outputs import compare_outputs, parity_feeds
from bertcompress.passes.export.halve_precision import HalfPrecision, HalvePrecision
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.runtimes import open_runtime
from bertcompress.runtimes.ort.checks import precisions_of

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which half precision can't hold",
)


@pytest.mark.parametrize(("precision", "sqnr_db"), [("fp16", 50), ("bf16", 30)])
def test_a_halved_graph_answers_the_same(
    tiny_graph: Callable[..., OnnxModel], precision: HalfPrecision, sqnr_db: float
) -> None:
    model = tiny_graph()
    half = HalvePrecision(precision)(model)
    step = half.history[-1]
    assert precisions_of(half.graph) == {precision}
    assert model.size_bytes * 0.5 < half.size_bytes < model.size_bytes * 0.75
    found = step.details["output_sqnr_db"]
    assert isinstance(found, float)
    assert sqnr_db < found < sqnr_db + 40
    assert [one.type.tensor_type.elem_type for one in half.graph.graph.output] == [1]
    for node in half.graph.graph.node:
        if node.op_type == "LayerNormalization":
            stash = [one.i for one in node.attribute if one.name == "stash_type"]
            assert stash in ([], [TensorProto.FLOAT])


def test_it_is_saved_and_runs(tiny_graph: Callable[..., OnnxModel], tmp_path: Path) -> None:
    half = HalvePrecision()(tiny_graph())
    folder = save(half, tmp_path / "half")
    assert load(folder).history == half.history
    feeds = parity_feeds(vocabulary=60, longest=64)
    whole = save(tiny_graph(), tmp_path / "whole")
    with open_runtime(folder, threads=1) as one, open_runtime(whole, threads=1) as other:
        got, expected = [one.run(feed) for feed in feeds], [other.run(feed) for feed in feeds]
    assert compare_outputs(expected, got, feeds).figures.largest_difference < 0.02
    assert got[0]["logits"].dtype == np.float32


def test_twice_the_same(tiny_graph: Callable[..., OnnxModel]) -> None:
    one, two = HalvePrecision()(tiny_graph()), HalvePrecision()(tiny_graph())
    assert one.graph.SerializeToString() == two.graph.SerializeToString()


def test_what_it_does_not_take(
    tiny_graph: Callable[..., OnnxModel], tiny_checkpoint: Callable[..., Checkpoint]
) -> None:
    with pytest.raises(UsageError, match="fp16 or bf16, got 'fp8'"):
        HalvePrecision("fp8")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(PassError, match="export it first"):
        HalvePrecision()(tiny_checkpoint())
    with pytest.raises(UsageError, match="this graph is quantized"):
        HalvePrecision()(QuantizeDynamic()(tiny_graph()))


def test_a_weight_too_large_for_float16(tiny_graph: Callable[..., OnnxModel]) -> None:
    from dataclasses import replace

    from onnx import numpy_helper

    graph = copy_of(tiny_graph().graph)
    tensor = next(one for one in graph.graph.initializer if len(one.dims) == 2)
    values = np.array(numpy_helper.to_array(tensor))
    values[0, 0] = 1e5
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with pytest.raises(ExportError, match="take the precision bf16"):
        HalvePrecision()(replace(tiny_graph(), graph=graph))
