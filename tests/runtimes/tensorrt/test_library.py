"""Plans become engines only on the machine and from the files that they were built for."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import transformers

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.graph_file import ONNX_NAME
from bertcompress.artifacts.manifest import MANIFEST_NAME, plan_path
from bertcompress.errors import (
    LoadError,
    MissingDependencyError,
    RunError,
)
from bertcompress.runtimes import open_runtime
from bertcompress.runtimes.tensorrt.runtime import TensorRtRuntime
from fixtures.feeds import feed_of

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)


Graphs = Callable[..., OnnxModel]
Fake = Callable[..., Any]
Made = Callable[..., tuple[Path, Any]]


def test_a_stripped_engine_takes_its_weights_from_the_graph(engine: Made) -> None:
    folder, trt = engine(strip=True)
    before = trt.state.refits
    with TensorRtRuntime(folder) as runtime:
        runtime.run(feed_of(1, 3))
    assert trt.state.refits == before + 1
    trt.state.refused = ("refit_cuda_engine",)
    with pytest.raises(LoadError, match=r"could not give the stripped engine .* its weights"):
        TensorRtRuntime(folder).__enter__()
    trt.state.refused, trt.state.parser_errors = (), [(0, "no such weight")]
    with pytest.raises(LoadError, match="do not fit its stripped engine: no such weight"):
        TensorRtRuntime(folder).__enter__()


def test_a_version_compatible_engine_may_bring_its_runtime(
    engine: Made, fake_tensorrt: Fake
) -> None:
    folder, _ = engine("10.16.1.11", version_compatible=True)
    fake_tensorrt("11.1.0.106")
    with TensorRtRuntime(folder) as runtime:
        runtime.run(feed_of(1, 3))
    folder, _ = engine("11.1.0.106", version_compatible=True)
    fake_tensorrt("10.16.1.11")
    with pytest.raises(RunError, match=r"built for TensorRT 11.1.0.106 \(here: TensorRT 10"):
        TensorRtRuntime(folder).__enter__()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda trt: setattr(trt, "__version__", "11.4.1.2"), "TensorRT 11.1.0.106 (here: Tens"),
        (lambda trt: setattr(trt.torch.version, "cuda", "13.2"), "CUDA 13.0 (here: CUDA 13.2)"),
        (
            lambda trt: setattr(trt.torch.cuda.device, "name", "NVIDIA L4"),
            "HBM3 (here: NVIDIA L4)",
        ),
        (lambda trt: setattr(trt.torch.cuda.device, "minor", 5), "compute capability 9.0 (here:"),
        (
            lambda trt: setattr(trt.torch.cuda.device, "multi_processor_count", 114),
            "132 multiprocessors (here: 114",
        ),
        (lambda trt: setattr(trt.torch.cuda.device, "total_memory", 2**30), "(here: 1024 MiB"),
    ],
)
def test_a_foreign_engine_is_refused_with_what_differs(
    change: Callable[[Any], None], message: str, engine: Made
) -> None:
    folder, trt = engine()
    change(trt)
    with pytest.raises(RunError) as caught:
        TensorRtRuntime(folder).__enter__()
    sentence = str(caught.value)
    assert message in sentence
    assert sentence.count("(here: ") == 1
    assert f"bertcompress build {folder} -o OUT" in sentence


def test_a_foreign_driver_and_system_are_refused(
    engine: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, _ = engine()
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(RunError, match=r"-x86_64 \(here: .*-aarch64\)"):
        TensorRtRuntime(folder).__enter__()
    monkeypatch.undo()


def test_an_engine_of_another_graph_is_stale(engine: Made, tiny_graph: Graphs) -> None:
    folder, _ = engine()
    onnx.save_model(tiny_graph().graph, str(folder / ONNX_NAME))
    with pytest.raises(RunError, match="from another graph than the one beside it"):
        TensorRtRuntime(folder).__enter__()


def test_an_altered_plan_is_never_loaded(engine: Made) -> None:
    folder, trt = engine()
    path = plan_path(folder)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    _never_loads(trt)
    with pytest.raises(LoadError, match="its SHA-256 is not the one in its sidecar"):
        TensorRtRuntime(folder).__enter__()


def test_a_plan_without_its_sidecar_is_never_loaded(engine: Made) -> None:
    folder, trt = engine()
    plan_path(folder).with_name("model.json").unlink()
    _never_loads(trt)
    with pytest.raises(LoadError, match=r"model\.json is missing, so nothing says what"):
        TensorRtRuntime(folder).__enter__()


def test_a_plan_with_anothers_sidecar_is_never_loaded(engine: Made) -> None:
    other, _ = engine(lengths=(4,), task="token-classification")
    folder, trt = engine()
    sidecar = plan_path(folder).with_name("model.json")
    shutil.copy(plan_path(other).with_name("model.json"), sidecar)
    _never_loads(trt)
    with pytest.raises(LoadError, match="or the sidecar is another engine's"):
        TensorRtRuntime(folder).__enter__()


def test_plan_and_sidecar_of_another_folder_are_never_loaded(engine: Made) -> None:
    other, _ = engine(lengths=(4,), task="token-classification")
    folder, trt = engine()
    for name in ("model.json", "model.plan"):
        shutil.copy(plan_path(other).with_name(name), plan_path(folder).with_name(name))
    _never_loads(trt)
    with pytest.raises(LoadError, match="manifest does not carry its SHA-256"):
        TensorRtRuntime(folder).__enter__()
    (folder / MANIFEST_NAME).unlink()
    with pytest.raises(LoadError, match="manifest does not carry its SHA-256"):
        TensorRtRuntime(folder).__enter__()


def test_an_engine_in_anothers_place_is_never_loaded(engine: Made) -> None:
    folder, trt = engine()
    path = plan_path(folder)
    manifest = (folder / MANIFEST_NAME).read_text()
    (folder / MANIFEST_NAME).write_text(manifest.replace(path.parent.name, "0" * 20))
    path.parent.rename(path.parent.with_name("0" * 20))
    _never_loads(trt)
    with pytest.raises(LoadError, match="its folder is called 00000000000000000000 and its"):
        TensorRtRuntime(folder).__enter__()


@pytest.mark.parametrize("content", ["{", "[]", '{"key": 1}'])
def test_a_damaged_sidecar_is_said(content: str, engine: Made) -> None:
    folder, trt = engine()
    plan_path(folder).with_name("model.json").write_text(content)
    _never_loads(trt)
    with pytest.raises(LoadError, match=r"model\.json is damaged"):
        TensorRtRuntime(folder).__enter__()


def test_two_engines_or_none_are_refused(engine: Made) -> None:
    folder, _ = engine()
    shutil.copytree(plan_path(folder).parent, folder / "engines" / "second")
    with pytest.raises(LoadError, match="holds 2 engines and must hold one"):
        TensorRtRuntime(folder).__enter__()
    shutil.rmtree(folder / "engines")
    with pytest.raises(LoadError, match="holds 0 engines"):
        TensorRtRuntime(folder).__enter__()


def test_what_tensorrt_itself_refuses(engine: Made) -> None:
    folder, trt = engine()
    trt.state.refused = ("deserialize_cuda_engine",)
    with pytest.raises(LoadError, match="TensorRT refuses the engine in"):
        TensorRtRuntime(folder).__enter__()


def test_without_tensorrt_the_install_line_is_said(
    engine: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = engine()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(
        MissingDependencyError, match=r"--extra-index-url https://pypi\.nvidia\.com"
    ):
        open_runtime(folder, threads=1)


def _never_loads(trt: Any) -> None:
    def refuse(self: object, content: bytes) -> None:
        raise AssertionError("TensorRT was given the plan")

    trt.Runtime.deserialize_cuda_engine = refuse
