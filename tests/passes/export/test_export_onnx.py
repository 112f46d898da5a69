"""The export: parity over all tasks and shapes, names, what a pruned model gives, what fails."""

from __future__ import annotations

import sys
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
    MissingDependencyError,
    ParityError,
    PassError,
    UsageError,
)
from bertcompress.graph.products import weight_products
from bertcompress.parity.outputs import check_parity
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.runtimes.ort.runtime import run_graph

Graphs = Callable[..., OnnxModel]
Checkpoints = Callable[..., Checkpoint]

OUTPUTS = {
    "text-classification": ["logits"],
    "token-classification": ["logits"],
    "question-answering": ["start_logits", "end_logits"],
    "feature-extraction": ["last_hidden_state"],
}


@pytest.mark.parametrize("task", OUTPUTS)
def test_the_graph_answers_as_the_checkpoint(task: str, tiny_graph: Graphs) -> None:
    graph = tiny_graph(task=task)

    parity = graph.history[-1].details["parity"]
    assert isinstance(parity, dict)
    assert 0 < parity["largest_difference"] < 1e-5
    assert parity["batches"] >= 10
    assert [value.name for value in graph.graph.graph.output] == OUTPUTS[task]


def test_the_inputs_are_not_mixed_up(tiny_graph: Graphs) -> None:
    inputs = [value.name for value in tiny_graph().graph.graph.input]
    assert inputs == ["input_ids", "attention_mask", "token_type_ids"]


def test_batch_and_sequence_are_dynamic(tiny_graph: Graphs) -> None:
    for value in tiny_graph().graph.graph.input:
        axes = [axis.dim_param for axis in value.type.tensor_type.shape.dim]
        assert axes == ["batch", "sequence"]


def test_products_are_named_after_their_modules(tiny_graph: Graphs) -> None:
    modules = [product.module for product in weight_products(tiny_graph().graph)]

    assert len(modules) == 2 * 6 + 2
    assert modules[0] == "bert.encoder.layer.0.attention.self.query"
    assert modules[-2:] == ["bert.pooler.dense", "classifier"]


def test_attention_is_one_operator_a_layer_and_everything_is_fused(tiny_graph: Graphs) -> None:
    kernels = tiny_graph().history[-1].details["kernels"]
    assert isinstance(kernels, dict)
    assert kernels["attention"] == 2
    assert kernels["skip layer norm"] == 4
    assert kernels["gelu"] == 2


def test_attention_takes_each_layers_own_number_of_heads(tiny_checkpoint: Checkpoints) -> None:
    checkpoint = tiny_checkpoint()
    model = cut(checkpoint.model, heads=((0, 2, 3), (1,)))

    graph = ExportOnnx()(replace(checkpoint, model=model)).graph.graph

    heads = [
        {attribute.name: attribute.i for attribute in node.attribute}["q_num_heads"]
        for node in graph.node
        if node.op_type == "Attention"
    ]
    assert heads == [3, 1]
    assert not [node for node in graph.node if node.op_type == "Transpose"]


def test_nothing_of_the_exporting_machine_is_in_the_file(
    tiny_graph: Graphs, tmp_path: Path
) -> None:
    content = tiny_graph().graph.SerializeToString()
    for trace in (b"site-packages", str(Path.home()).encode(), b".py"):
        assert trace not in content


def test_unequal_layers_are_exported(tiny_checkpoint: Checkpoints) -> None:
    checkpoint = tiny_checkpoint()
    model = cut(checkpoint.model, heads=((0, 2), (1,)), ffn=(tuple(range(32)), tuple(range(5))))

    graph = ExportOnnx()(replace(checkpoint, model=model))

    assert graph.config.model_type == "bert"
    assert check_parity(model, graph.graph, tolerance=1e-5).figures.largest_difference < 1e-5


def test_emptied_sub_layers_are_exported(tiny_checkpoint: Checkpoints) -> None:
    checkpoint = tiny_checkpoint()
    model = cut(checkpoint.model, heads=((), (1,)), ffn=(tuple(range(32)), ()))

    graph = ExportOnnx()(replace(checkpoint, model=model))

    assert check_parity(model, graph.graph, tolerance=1e-5).figures.largest_difference < 1e-5


def test_the_folder_loads_again(tiny_graph: Graphs, tmp_path: Path) -> None:
    graph = tiny_graph()
    save(graph, tmp_path / "out")
    again = load(tmp_path / "out")

    assert isinstance(again, OnnxModel)
    feed = {
        name: np.ones((1, 4), dtype=np.int64)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    (first,), (second,) = run_graph(graph.graph, [feed]), run_graph(again.graph, [feed])
    np.testing.assert_array_equal(first["logits"], second["logits"])


def test_twice_the_same_bytes(tiny_graph: Graphs, tiny_checkpoint: Checkpoints) -> None:
    again = ExportOnnx()(tiny_checkpoint())
    assert again.graph.SerializeToString() == tiny_graph().graph.SerializeToString()


def test_the_checkpoint_is_left_as_it_was(tiny_checkpoint: Checkpoints) -> None:
    checkpoint = tiny_checkpoint()
    before = {name: value.clone() for name, value in checkpoint.model.state_dict().items()}

    ExportOnnx()(checkpoint)

    assert not checkpoint.model.training
    for name, value in checkpoint.model.state_dict().items():
        assert value.equal(before[name])


def test_a_graph_that_differs_fails_parity(
    tiny_graph: Graphs, tiny_checkpoint: Checkpoints
) -> None:
    altered = onnx.ModelProto()
    altered.CopyFrom(tiny_graph().graph)
    for tensor in altered.graph.initializer:
        if tensor.name == "classifier.weight_t":
            values = onnx.numpy_helper.to_array(tensor) + np.float32(0.01)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

    with pytest.raises(ParityError, match="answers differently"):
        check_parity(tiny_checkpoint().model, altered, tolerance=1e-4)


def test_a_graph_that_ignores_the_mask_fails_parity(
    tiny_graph: Graphs, tiny_checkpoint: Checkpoints
) -> None:
    altered = onnx.ModelProto()
    altered.CopyFrom(tiny_graph().graph)
    for node in altered.graph.node:
        if node.op_type == "Attention":
            del node.input[3:]

    with pytest.raises(ParityError):
        check_parity(tiny_checkpoint().model, altered, tolerance=1e-4)


def test_a_tolerance_that_rounding_can_not_meet_fails(tiny_checkpoint: Checkpoints) -> None:
    with pytest.raises(ParityError, match="nothing was written"):
        ExportOnnx(tolerance=1e-12)(tiny_checkpoint())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"exporter": "legacy"}, "exporter must be one of dynamo, optimum, got 'legacy'"),
        ({"opset": 7}, "opset must be 18 to 23"),
        ({"exporter": "optimum", "opset": 23}, "opset must be 14 to 18"),
        ({"tolerance": 0.0}, "tolerance must be above 0"),
    ],
)
def test_bad_settings(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        ExportOnnx(**settings)  # type: ignore[arg-type]  # wrong on purpose


def test_a_graph_can_not_be_exported_again(tiny_graph: Graphs) -> None:
    with pytest.raises(PassError, match="works on a checkpoint and was given a graph"):
        ExportOnnx()(tiny_graph())


def test_optimum_missing_is_said(
    tiny_checkpoint: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optimum.exporters.onnx", None)
    with pytest.raises(MissingDependencyError, match=r"bertcompress\[optimum\]"):
        ExportOnnx(exporter="optimum")(tiny_checkpoint())


@pytest.mark.parametrize("task", OUTPUTS)
def test_optimum_exports_the_same_answers(task: str, tiny_checkpoint: Checkpoints) -> None:
    pytest.importorskip("optimum.exporters.onnx", reason="the optimum extra is not installed")

    graph = ExportOnnx(exporter="optimum")(tiny_checkpoint(task=task))

    assert [value.name for value in graph.graph.graph.output] == OUTPUTS[task]
    modules = [product.module for product in weight_products(graph.graph)]
    assert any(module.endswith("encoder.layer.0.attention.self.query") for module in modules)
