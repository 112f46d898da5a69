"""TensorRT's runtime on each release's surface: answers, graphs, threads, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import transformers

from bertcompress.artifacts.artifact import Engine, OnnxModel, save
from bertcompress.artifacts.manifest import MANIFEST_NAME, ONNX_NAME, plan_path
from bertcompress.bert.loading.load import load
from bertcompress.errors import (
    LoadError,
    MissingDependencyError,
    MissingError,
    RunError,
    UsageError,
)
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from bertcompress.profiling.executed import execute
from bertcompress.runtimes import open_runtime, open_runtimes, runtime_for
from bertcompress.runtimes.ort.runtime import run_graph
from bertcompress.runtimes.tensorrt.cuda import driver_branch, gpu_facts
from bertcompress.runtimes.tensorrt.runtime import RunCounts, TensorRtRuntime

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)

VERSIONS = {"8.5.3.1": "8.5", "8.6.1": "8.6", "10.16.1.11": "10.14", "11.1.0.106": "10.14"}
Graphs = Callable[..., OnnxModel]
Fake = Callable[..., Any]
Engines = Callable[..., Path]


def feed_of(batch: int, length: int, *, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    ids = generator.integers(5, 80, (batch, length))
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


@pytest.fixture(scope="module")
def half(tiny_graph: Graphs) -> Callable[[str, str], OnnxModel]:
    """Gives ``half("8.5", task)``: the tiny model's FP16 graph for a target, made once."""
    made: dict[tuple[str, str], OnnxModel] = {}

    def make(target: str, task: str) -> OnnxModel:
        if (target, task) not in made:
            step = QuantizeTensorrt(precision="fp16", target=target)
            made[target, task] = step(tiny_graph(task=task))
        return made[target, task]

    return make


@pytest.fixture
def engine(
    half: Callable[[str, str], OnnxModel], fake_tensorrt: Fake, tmp_path: Path
) -> Callable[..., tuple[Path, Any]]:
    """Gives ``engine("8.5.3.1", …)``: a folder with an engine, and the TensorRT that built it."""

    def make(
        version: str = "11.1.0.106", task: str = "text-classification", **settings: object
    ) -> tuple[Path, Any]:
        trt = fake_tensorrt(version)
        model = half(VERSIONS[version], task)
        given = {"goal": "throughput", "lengths": (8, 16), "batches": (2,), **settings}
        made = BuildEngine(**given)(model)  # type: ignore[arg-type]  # a test's settings
        folder = save(made, tmp_path / f"engine-{version}-{task}", overwrite=True)
        return folder, trt

    return make


Made = Callable[..., tuple[Path, Any]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("task", ["text-classification", "token-classification"])
def test_it_answers_as_the_graph_does(version: str, task: str, engine: Made) -> None:
    folder, trt = engine(version, task)
    graph = onnx.load_model(str(folder / ONNX_NAME))
    feeds = [feed_of(*shape, seed=at) for at, shape in enumerate([(1, 5), (2, 12), (1, 5)] * 3)]
    with open_runtime(folder, threads=1) as runtime:
        assert runtime.name == "tensorrt"
        assert set(runtime.inputs) == {"input_ids", "attention_mask", "token_type_ids"}
        got = [runtime.run(feed) for feed in feeds]
        assert isinstance(runtime, TensorRtRuntime)
        counts = runtime.counts
    for answer, expected in zip(got, run_graph(graph, list(feeds)), strict=True):
        assert answer["logits"].dtype == np.float32
        np.testing.assert_allclose(answer["logits"], expected["logits"], atol=5e-3)
    assert len({answer["logits"].tobytes() for answer in got}) == len(feeds)
    if version == "8.5.3.1":  # a profile serves one context there
        assert counts == RunCounts(replayed=0, enqueued=9, captured=0)
    else:
        assert counts == RunCounts(replayed=5, enqueued=4, captured=2)
        assert trt.torch.cuda.replays >= 5


def test_tokens_are_of_the_type_that_the_engine_says(engine: Made) -> None:
    for version, name in (("8.6.1", "INT32"), ("10.16.1.11", "INT64")):
        folder, _ = engine(version)
        tensors = json.loads(plan_path(folder).read_bytes())["tensors"]
        assert {kind for _, mode, kind in tensors if mode == "INPUT"} == {name}


def test_few_graphs_are_kept_and_frequent_shapes_stay(engine: Made) -> None:
    folder, trt = engine()
    before = trt.state.contexts
    with TensorRtRuntime(folder, graphs=1) as runtime:
        for length in (3, 3, 3, 3, 4, 4, 4, 4):
            runtime.run(feed_of(1, length))
        assert runtime.counts == RunCounts(replayed=2, enqueued=6, captured=1)
        runtime.run(feed_of(1, 4))  # for the fifth time: more often than the other
        runtime.run(feed_of(1, 4))
        assert runtime.counts == RunCounts(replayed=3, enqueued=7, captured=2)
        runtime.run(feed_of(1, 3))
        assert runtime.counts == RunCounts(replayed=3, enqueued=8, captured=2)
    assert trt.state.contexts - before == 3  # the plain one and one for each recording


def test_the_shape_unused_for_longest_makes_room(engine: Made) -> None:
    folder, _ = engine()
    with TensorRtRuntime(folder, graphs=2) as runtime:
        for length in (3, 3, 4, 4, 3, 5, 5, 5):
            runtime.run(feed_of(1, length))
        assert runtime.counts == RunCounts(replayed=1, enqueued=7, captured=3)
        for length in (3, 5):
            runtime.run(feed_of(1, length))
        assert runtime.counts == RunCounts(replayed=3, enqueued=7, captured=3)


def test_without_graphs_every_kernel_is_enqueued(engine: Made) -> None:
    folder, trt = engine()
    replays = trt.torch.cuda.replays
    with TensorRtRuntime(folder, graphs=0) as runtime:
        for _ in range(4):
            runtime.run(feed_of(1, 3))
        assert runtime.counts == RunCounts(replayed=0, enqueued=4, captured=0)
        with pytest.raises(UsageError, match="1 shapes are more than the 0"):
            runtime.warm([(1, 3)])
    assert trt.torch.cuda.replays == replays
    with pytest.raises(UsageError, match="graphs must be 0 or more"):
        TensorRtRuntime(folder, graphs=-1)


def test_how_batches_ran_is_logged(engine: Made, caplog: pytest.LogCaptureFixture) -> None:
    folder, _ = engine()
    with caplog.at_level("INFO"), TensorRtRuntime(folder) as runtime:
        for _ in range(3):
            runtime.run(feed_of(1, 3))
    assert "RunCounts(replayed=1, enqueued=2, captured=1, split=0)" in caplog.text


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch has CUDA")
def test_a_torch_without_cuda_says_what_to_install() -> None:
    with pytest.raises(MissingError, match=r"pip install torch --index-url https://download"):
        gpu_facts()


def test_warmed_shapes_are_replayed_from_the_first_batch_on(engine: Made) -> None:
    folder, _ = engine()
    with TensorRtRuntime(folder) as runtime:
        runtime.warm([(1, 3), (2, 9)])
        before = runtime.counts
        runtime.run(feed_of(2, 9))
        assert runtime.counts == replace(before, replayed=before.replayed + 1)


def test_a_batch_that_is_too_large_runs_in_parts(engine: Made) -> None:
    folder, _ = engine()
    feed = feed_of(5, 6)
    with TensorRtRuntime(folder) as runtime:
        whole = runtime.run(feed)["logits"]
        assert runtime.counts == RunCounts(replayed=0, enqueued=3, captured=1, split=1)
        for row in range(5):
            alone = runtime.run({name: values[row : row + 1] for name, values in feed.items()})
            np.testing.assert_allclose(whole[row], alone["logits"][0], atol=1e-5)
    assert whole.shape == (5, 2)


def padded(lengths: tuple[int, ...], width: int) -> dict[str, np.ndarray]:
    feed = feed_of(len(lengths), width, seed=sum(lengths))
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int64)
    return {**{name: values * mask for name, values in feed.items()}, "attention_mask": mask}


@pytest.mark.parametrize("task", ["text-classification", "token-classification"])
def test_a_packed_engine_is_given_no_padding(task: str, engine: Made) -> None:
    folder, trt = engine(task=task, goal="packed", lengths=(48,), batches=(4,))
    graph = onnx.load_model(str(folder / ONNX_NAME))
    feeds = [
        padded((5, 11, 2), 20),
        padded((4, 12, 20), 20),  # other lengths, as many rows: a recorded graph
        padded((20, 1, 1), 20),
        padded((40, 45, 3), 48),
        padded((7,), 7),
        padded((3, 9, 4, 8, 2), 9),  # more than it holds
    ]
    with open_runtime(folder, threads=1) as runtime:
        assert set(runtime.inputs) == {"input_ids", "attention_mask", "token_type_ids"}
        got = [runtime.run(feed) for feed in feeds]
        assert isinstance(runtime, TensorRtRuntime)
        assert runtime.counts == RunCounts(replayed=1, enqueued=6, captured=1, split=1)
        with pytest.raises(RunError, match="the engine takes"):
            runtime.run({"input_ids": feeds[0]["input_ids"]})
    for feed, answer, expected in zip(feeds, got, run_graph(graph, feeds), strict=True):
        real = feed["attention_mask"] == 1 if task.startswith("token") else slice(None)
        np.testing.assert_allclose(answer["logits"][real], expected["logits"][real], atol=1e-2)
        assert answer["logits"].shape == expected["logits"].shape
    ran = trt.state.profiles[0]["packed_rows"]
    assert ran == ((1,), (4 * 48,), (4 * 48,))


def test_packed_rows_are_recorded_in_advance(engine: Made) -> None:
    folder, _ = engine(goal="packed", lengths=(16,), batches=(2,))
    with TensorRtRuntime(folder) as runtime:
        runtime.warm([(2, 16)])
        before = runtime.counts
        runtime.run(padded((16, 16), 16))
        assert runtime.counts == replace(before, replayed=before.replayed + 1)


def test_a_gap_between_profiles_is_said(engine: Made, fake_tensorrt: Fake) -> None:
    folder, _ = engine()
    found = load(folder)
    assert isinstance(found, Engine)
    record = found.record
    gap = replace(record, profiles=tuple(replace(one, least=(2, 1)) for one in record.profiles))
    with (
        TensorRtRuntime(replace(found, record=gap)) as runtime,
        pytest.raises(RunError, match="no profile for batches of 1; build one with --batches"),
    ):
        runtime.run(feed_of(1, 4))


def test_what_ran_is_not_asked_of_it(engine: Made) -> None:
    folder, _ = engine()
    with pytest.raises(RunError, match=f"bertcompress show {folder}"):
        execute(folder, "tensorrt", [feed_of(1, 3)], threads=1)


def test_answers_are_the_callers_own(engine: Made) -> None:
    folder, _ = engine()
    with TensorRtRuntime(folder) as runtime:
        first = runtime.run(feed_of(1, 4))["logits"]
        kept = first.copy()
        for seed in (1, 2, 3):
            runtime.run(feed_of(1, 4, seed=seed))
        np.testing.assert_array_equal(first, kept)


def test_streams_share_the_engine_and_not_the_context(engine: Made) -> None:
    folder, _ = engine()
    with open_runtimes(folder, streams=2, threads=1) as (first, second):
        assert isinstance(first, TensorRtRuntime)
        assert isinstance(second, TensorRtRuntime)
        assert first._loaded is second._loaded
        a, b = first.run(feed_of(1, 4)), second.run(feed_of(1, 4))
        np.testing.assert_array_equal(a["logits"], b["logits"])
    folder, _ = engine("8.5.3.1")
    with open_runtimes(folder, "tensorrt", streams=2, threads=1) as (first, second):
        assert first._loaded is not second._loaded  # type: ignore[attr-defined]  # see above
        second.run(feed_of(1, 4))


def test_one_thread_at_a_time(engine: Made) -> None:
    folder, trt = engine()
    inside, go_on = threading.Event(), threading.Event()
    with TensorRtRuntime(folder) as runtime:
        queue = trt.state.queue

        def held(work: Callable[[], None]) -> None:
            inside.set()
            assert go_on.wait(30)
            queue(work)

        trt.state.queue = held
        thread = threading.Thread(target=runtime.run, args=(feed_of(1, 3),))
        thread.start()
        assert inside.wait(30)
        with pytest.raises(RunError, match="one thread at a time"):
            runtime.run(feed_of(1, 3))
        go_on.set()
        thread.join()
        trt.state.queue = queue
        runtime.run(feed_of(1, 3))


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        (feed_of(1, 17), r"texts of up to 16 tokens, and one has 17; .* --lengths …,17"),
        ({"input_ids": np.ones((1, 3), dtype=np.int64)}, "the engine takes input_ids, "),
        ({}, "was given the inputs none"),
        ({**feed_of(1, 3), "input_ids": np.ones((1, 4), dtype=np.int64)}, "must all be"),
        ({name: np.ones(3, dtype=np.int64) for name in feed_of(1, 3)}, "must all be"),
        ({**feed_of(1, 3), "input_ids": np.ones((1, 3))}, "input_ids must be integers"),
    ],
)
def test_inputs_that_do_not_fit(feed: dict[str, np.ndarray], message: str, engine: Made) -> None:
    folder, _ = engine()
    with TensorRtRuntime(folder) as runtime, pytest.raises(RunError, match=message):
        runtime.run(feed)


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ("set_input_shape", "TensorRT refused the shape"),
        ("execute_async_v3", "TensorRT refused the batch"),
        ("create_execution_context", "made no execution context"),
    ],
)
def test_what_tensorrt_refuses_is_said(refused: str, message: str, engine: Made) -> None:
    folder, trt = engine()
    trt.state.refused = (refused,)
    with pytest.raises(RunError, match=message), TensorRtRuntime(folder) as runtime:
        runtime.run(feed_of(1, 3))


def test_failures_of_the_gpu_are_said(engine: Made) -> None:
    folder, trt = engine()
    with TensorRtRuntime(folder) as runtime:
        trt.torch.cuda.broken = "an illegal memory access was encountered\nmore"
        with pytest.raises(RunError, match=r"illegal memory access.*start the process again"):
            runtime.run(feed_of(1, 3))
        trt.torch.cuda.broken = ""
        trt.torch.cuda.uncapturable = True
        with pytest.raises(RunError, match=r"can't be captured as a CUDA graph.*graphs=0"):
            runtime.run(feed_of(1, 3))


def test_a_type_that_no_encoder_has(engine: Made, fake_tensorrt: Fake) -> None:
    folder, _ = engine()
    other = fake_tensorrt()
    plan = json.loads(plan_path(folder).read_bytes())
    deserialize = other.Runtime.deserialize_cuda_engine

    def altered(self: Any, content: bytes) -> Any:
        found = deserialize(self, content)
        found._plan["tensors"][-1][2] = "BF16"
        return found

    other.Runtime.deserialize_cuda_engine = altered
    assert plan["tensors"][-1][2] == "FLOAT"
    with pytest.raises(RunError, match="logits is of TensorRT's type BF16"):
        TensorRtRuntime(folder).__enter__()


def test_it_has_to_be_open(engine: Made) -> None:
    folder, _ = engine()
    runtime = TensorRtRuntime(folder)
    for call in (lambda: runtime.run(feed_of(1, 2)), runtime.another):
        with pytest.raises(RunError, match="not open"):
            call()


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


def test_the_drivers_branch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "version"
    monkeypatch.setattr("bertcompress.runtimes.tensorrt.cuda.DRIVER_FILE", file)
    assert driver_branch() == "unknown"
    file.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar 5\n")
    assert driver_branch() == "550"
    file.write_text("nothing")
    assert driver_branch() == "unknown"


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


def test_the_folder_still_runs_elsewhere(engine: Made) -> None:
    folder, _ = engine()
    assert runtime_for(folder) == "tensorrt"
    with open_runtime(folder, "ort-cpu", threads=1) as runtime:
        assert runtime.run(feed_of(1, 40))["logits"].shape == (1, 2)


def test_a_graph_is_no_engine(tiny_graph: Graphs, tmp_path: Path) -> None:
    folder = save(tiny_graph(), tmp_path / "graph")
    with pytest.raises(RunError, match=f"bertcompress build {folder} -o OUT"):
        runtime_for(folder, "tensorrt")


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
