"""ONNX Runtime on a GPU, as far as a CPU can tell: options, refusals, placement, bound tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from bertcompress.artifacts.artifact import OnnxModel, save
from bertcompress.errors import (
    MissingDependencyError,
    MissingError,
    MissingHardwareError,
    RunError,
    UsageError,
)
from bertcompress.machine import gpus as nvidia
from bertcompress.machine.gpus import Gpu
from bertcompress.parity.outputs import compare_outputs, parity_feeds
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.runtimes import open_runtime
from bertcompress.runtimes.ort import checks as ort_checks
from bertcompress.runtimes.ort.binding import BoundRuns
from bertcompress.runtimes.ort.checks import (
    RECORD_PLACEMENT,
    check_graph,
    check_packages,
    check_placement,
    check_running,
    precisions_of,
    shape_nodes,
)
from bertcompress.runtimes.ort.providers import ProviderSettings, ShapeRange
from bertcompress.runtimes.ort.runtime import OrtRuntime, check_provider

HOPPER = Gpu("NVIDIA H100", (9, 0), 132, 80 << 30, (13, 0))


def _session(model: OnnxModel, **entries: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    content = model.graph.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("task", ["text-classification", "question-answering"])
def test_bound_tensors_answer_as_a_plain_run(
    tiny_graph: Callable[..., OnnxModel], task: str, graphs: bool
) -> None:
    model = tiny_graph(task=task)
    runs = BoundRuns(onnxruntime, _session(model), device="cpu", longest=128, graphs=graphs)
    feeds = parity_feeds(vocabulary=60, longest=100)
    with OrtRuntime(model.graph.SerializeToString(), threads=1) as plain:
        expected = [plain.run(feed) for feed in feeds]
    first, again = [runs.run(feed) for feed in feeds], [runs.run(feed) for feed in feeds]
    assert compare_outputs(expected, first, feeds).max_difference < 1e-5
    assert compare_outputs(first, again, feeds).max_difference == 0
    shapes = {feed["input_ids"].shape for feed in feeds}
    assert len(runs) == (len(shapes) - 1 if graphs else 0)  # (1, 2) and (1, 16) share one


def test_answers_are_the_callers_own(tiny_graph: Callable[..., OnnxModel]) -> None:
    runs = BoundRuns(onnxruntime, _session(tiny_graph()), device="cpu", longest=128, graphs=True)
    one, two = parity_feeds(vocabulary=60, longest=16)[:2]
    first = runs.run(one)
    kept = first["logits"].copy()
    runs.run({**two, "input_ids": two["input_ids"][:1] * 0 + 5})
    np.testing.assert_array_equal(first["logits"], kept)


def test_options_of_cuda_and_tensorrt(tmp_path: Path) -> None:
    assert ProviderSettings("cuda", graphs=True).options(["input_ids"]) == [
        ("CUDAExecutionProvider", {"device_id": "0", "use_tf32": "0", "enable_cuda_graph": "1"})
    ]
    shapes = ShapeRange((1, 2), (8, 64), (32, 128))
    settings = ProviderSettings("tensorrt", shapes=shapes, cache=tmp_path)
    (name, options), (second, _) = settings.options(["input_ids", "attention_mask"], {"fp16"})
    assert (name, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert options["trt_profile_min_shapes"] == "input_ids:1x2,attention_mask:1x2"
    assert options["trt_profile_opt_shapes"] == "input_ids:8x64,attention_mask:8x64"
    assert options["trt_profile_max_shapes"] == "input_ids:32x128,attention_mask:32x128"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)
    assert options["trt_fp16_enable"] == "1"
    assert not any("calibration" in one or "int8" in one for one in options)
    with pytest.raises(RunError, match="1 to 32 texts of 2 to 128 tokens, got 33 of 64"):
        settings.check_shape((33, 64))
    settings.check_shape((32, 128))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"provider": "gpu"}, "provider must be one of"),
        ({"provider": "cpu", "graphs": True}, "recorded with the provider cuda"),
        ({"provider": "tensorrt"}, "cache folder"),
    ],
)
def test_settings_that_can_not_be_meant(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        ProviderSettings(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_range_of_shapes_is_ordered() -> None:
    with pytest.raises(UsageError, match="none smaller than the one before"):
        ShapeRange((2, 1), (1, 16), (8, 128))


def test_a_provider_left_out_is_told() -> None:
    check_running("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"])
    with pytest.raises(MissingHardwareError, match="would run on CPUExecutionProvider"):
        check_running("cuda", ["CPUExecutionProvider"])


def test_operators_on_the_cpu_are_told(tiny_graph: Callable[..., OnnxModel]) -> None:
    model = tiny_graph()
    session = _session(model, **{RECORD_PLACEMENT: "1"})
    placed = [
        (node.name, node.op_type, part.ep_name)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]
    allowed = shape_nodes(model.graph)
    assert {kind for name, kind, _ in placed if name in allowed} == {"Shape", "Concat"}
    cpu = "CPUExecutionProvider"
    moved = [(n, k, cpu if n in allowed else "CUDAExecutionProvider") for n, k, _ in placed]
    check_placement("cuda", moved, allowed)
    lost = next(at for at, one in enumerate(moved) if one[1] == "Gelu")
    with pytest.raises(RunError, match=r"1 operators have no kernel .* first Gelu"):
        check_placement("cuda", [*moved, (moved[lost][0], "Gelu", cpu)], allowed)
    with pytest.raises(RunError, match="no operator of the graph was given"):
        check_placement("cuda", [one for one in placed if one[0] in allowed], allowed)


def test_int8_is_refused_on_cuda(tiny_graph: Callable[..., OnnxModel]) -> None:
    model = QuantizeDynamic()(tiny_graph())
    with pytest.raises(RunError, match="CUDA provider does not accelerate"):
        check_graph("cuda", model.graph, "it")
    with pytest.raises(RunError, match="TensorRT can't read"):
        check_graph("tensorrt", model.graph, "it")
    check_graph("cuda", tiny_graph().graph, "it")


@pytest.mark.parametrize(
    ("operator", "scale", "expected"),
    [
        ("Mul", TensorProto.FLOAT, set()),
        ("Mul", TensorProto.FLOAT16, {"fp16"}),
        ("Mul", TensorProto.BFLOAT16, {"bf16"}),
        ("QuantizeLinear", TensorProto.FLOAT16, {"fp16", "int8"}),
    ],
)
def test_the_precisions_of_a_graph(operator: str, scale: int, expected: set[str]) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    node = helper.make_node(operator, ["x", "scale"], ["y"])
    weight = helper.make_tensor("scale", scale, [], [1.0])
    graph = helper.make_graph([node], "g", values[:1], values[1:], [weight])
    assert precisions_of(helper.make_model(graph)) == expected


def test_both_packages_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort_checks, "_is_installed", lambda name: True)
    with pytest.raises(MissingError, match="overwritten each other") as caught:
        check_packages()
    assert caught.value.exit_code == 5
    monkeypatch.setattr(ort_checks, "_is_installed", lambda name: name == "onnxruntime")
    with pytest.raises(MissingDependencyError, match=r"bertcompress\[gpu\]"):
        check_packages()


@pytest.mark.parametrize("name", ["ort-cuda", "ort-tensorrt"])
def test_no_gpu_is_told_before_anything_is_loaded(
    tiny_graph: Callable[..., OnnxModel],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr(nvidia, "_driver", lambda: None)
    folder = save(tiny_graph(), tmp_path / "graph")
    with pytest.raises(MissingHardwareError, match=f"{name} needs an NVIDIA GPU") as caught:
        open_runtime(folder, name, threads=1)
    assert caught.value.exit_code == 5


def test_a_library_without_the_provider_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has it")
    monkeypatch.setattr(nvidia, "gpus", lambda: (HOPPER,))
    monkeypatch.setattr(ort_checks, "_is_installed", lambda name: name == "onnxruntime-gpu")
    with pytest.raises(MissingHardwareError, match="built without CUDAExecutionProvider"):
        check_provider("ort-cuda")


def test_shapes_of_a_graph_without_any() -> None:
    node = helper.make_node("Relu", ["x"], ["y"], name="relu")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([node], "g", [value], [replace_name(value, "y")])
    assert shape_nodes(helper.make_model(graph)) == frozenset()


def replace_name(value: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    made = onnx.ValueInfoProto()
    made.CopyFrom(value)
    made.name = name
    return made


def test_the_runtime_is_named_after_its_provider(tmp_path: Path) -> None:
    cuda = ProviderSettings("cuda")
    assert OrtRuntime(b"", threads=1).name == "ort-cpu"
    assert OrtRuntime(b"", threads=1, settings=cuda).name == "ort-cuda"
    assert replace(cuda, longest=64).options(()) == cuda.options(())
