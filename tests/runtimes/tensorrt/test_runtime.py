"""TensorRT's runtime on each release's surface: answers, graphs, threads, and what is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import transformers

from bertcompress.artifacts.artifact import Engine, OnnxModel, save
from bertcompress.artifacts.graph_file import ONNX_NAME
from bertcompress.artifacts.manifest import plan_path
from bertcompress.bert.loading.load import load
from bertcompress.errors import (
    RunError,
    UsageError,
)
from bertcompress.profiling.profile_run import profile_run
from bertcompress.runtimes import open_runtime, open_runtimes, runtime_for
from bertcompress.runtimes.ort.runtime import run_graph
from bertcompress.runtimes.tensorrt.runtime import RunCounts, TensorRtRuntime
from fixtures.feeds import feed_of

pytestmark = pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5,
    reason="Transformers 4 exports masks of numbers, which graphs for TensorRT do not take",
)

VERSIONS = ("8.5.3.1", "8.6.1", "10.16.1.11", "11.1.0.106")
Graphs = Callable[..., OnnxModel]
Fake = Callable[..., Any]
Made = Callable[..., tuple[Path, Any]]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("task", ["text-classification", "token-classification"])
def test_it_answers_as_the_graph_does(version: str, task: str, engine: Made) -> None:
    folder, trt = engine(version, task)
    graph = onnx.load_model(str(folder / ONNX_NAME))
    feeds = [feed_of(*shape, seed=at) for at, shape in enumerate([(1, 5), (2, 12), (1, 5)] * 3)]
    with open_runtime(folder, threads=1) as runtime:
        assert runtime.name == "tensorrt"
        assert set(runtime.input_names) == {"input_ids", "attention_mask", "token_type_ids"}
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
        assert set(runtime.input_names) == {"input_ids", "attention_mask", "token_type_ids"}
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
        profile_run(folder, "tensorrt", [feed_of(1, 3)], threads=1)


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


def test_it_has_to_be_open(engine: Made) -> None:
    folder, _ = engine()
    runtime = TensorRtRuntime(folder)
    for call in (lambda: runtime.run(feed_of(1, 2)), runtime.another):
        with pytest.raises(RunError, match="not open"):
            call()


def test_the_folder_still_runs_elsewhere(engine: Made) -> None:
    folder, _ = engine()
    assert runtime_for(folder) == "tensorrt"
    with open_runtime(folder, "ort-cpu", threads=1) as runtime:
        assert runtime.run(feed_of(1, 40))["logits"].shape == (1, 2)


def test_a_graph_is_no_engine(tiny_graph: Graphs, tmp_path: Path) -> None:
    folder = save(tiny_graph(), tmp_path / "graph")
    with pytest.raises(RunError, match=f"bertcompress build {folder} -o OUT"):
        runtime_for(folder, "tensorrt")
