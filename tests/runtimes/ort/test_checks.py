"""What ONNX Runtime can't do on a GPU is told before and after a graph is loaded."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import (
    MissingDependencyError,
    MissingError,
    MissingHardwareError,
    RunError,
)
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.runtimes.ort import checks as ort_checks
from bertcompress.runtimes.ort.checks import (
    RECORD_PLACEMENT,
    check_graph,
    check_packages,
    check_placement,
    check_running,
    precisions_of,
    shape_nodes,
)

Sessions = Callable[..., onnxruntime.InferenceSession]


def test_a_provider_left_out_is_told() -> None:
    check_running("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"])
    with pytest.raises(MissingHardwareError, match="would run on CPUExecutionProvider"):
        check_running("cuda", ["CPUExecutionProvider"])


def test_operators_on_the_cpu_are_told(
    tiny_graph: Callable[..., OnnxModel], session_of: Sessions
) -> None:
    model = tiny_graph()
    session = session_of(model, **{RECORD_PLACEMENT: "1"})
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
