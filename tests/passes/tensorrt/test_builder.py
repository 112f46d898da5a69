"""The build itself: stopped, timed, and its errors told with their nodes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import (
    BuildError,
)
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.quantize_tensorrt import QuantizeTensorrt
from fixtures.engines import NEEDS_TRANSFORMERS_5, SHORT, TARGETS

pytestmark = NEEDS_TRANSFORMERS_5


Graphs = Callable[..., OnnxModel]


Fake = Callable[..., Any]


@pytest.mark.parametrize("version", ["8.5.3.1", "11.1.0.106"])
def test_an_interrupt_stops_the_build(
    version: str, tiny_graph: Graphs, fake_tensorrt: Fake, tmp_path: Path
) -> None:
    trt, steps, seen = fake_tensorrt(version), [], threading.Event()

    def interrupt() -> None:  # in TensorRT's thread: the signal strikes the one that waits
        steps.append(1)
        if len(steps) == 1:
            signal.raise_signal(signal.SIGINT)
            assert seen.wait(600)

    def handler(number: int, frame: object) -> None:
        seen.set()
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    trt.state.on_step = interrupt
    model = QuantizeTensorrt(precision="fp16", target=TARGETS[version])(tiny_graph())
    cache = tmp_path / "timing.cache"
    signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            BuildEngine(**SHORT, timing_cache=str(cache))(model)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not cache.exists()
    assert len(steps) == (1 if version.startswith("8") else 4)


def test_an_error_in_tensorrts_thread_is_not_lost(tiny_graph: Graphs, fake_tensorrt: Fake) -> None:
    def fail() -> None:
        raise TimeoutError("from the build itself")

    fake_tensorrt().state.on_step = fail
    with pytest.raises(TimeoutError, match="from the build itself"):
        BuildEngine(**SHORT)(tiny_graph())


def test_a_timing_cache_that_can_not_be_written(
    tiny_graph: Graphs, fake_tensorrt: Fake, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    fake_tensorrt().state.on_step = lambda: place.write_text("a file now")
    with pytest.raises(BuildError, match="could not write the timing cache"):
        BuildEngine(**SHORT, timing_cache=str(place / "cache"))(tiny_graph())


def test_the_timing_cache_is_read_and_written(
    tiny_graph: Graphs, fake_tensorrt: Fake, tmp_path: Path
) -> None:
    cache = tmp_path / "new" / "timing.cache"
    build = BuildEngine(**SHORT, timing_cache=str(cache))
    fake_tensorrt()
    build(tiny_graph())
    assert cache.read_bytes() == b"+timed"
    fake_tensorrt()
    build(tiny_graph())
    assert cache.read_bytes() == b"+timed+timed"
    trt = fake_tensorrt()
    trt.state.foreign_cache = True
    with pytest.raises(BuildError, match="timing cache is of another GPU"):
        build(tiny_graph())
    assert cache.read_bytes() == b"+timed+timed"
    with pytest.raises(BuildError, match="can't read the timing cache"):
        replace(build, timing_cache=str(tmp_path))(tiny_graph())
    blocked = tmp_path / "file"
    blocked.write_text("x")
    fake_tensorrt()
    with pytest.raises(BuildError, match=r"timing cache .*file/c"):
        replace(build, timing_cache=str(blocked / "c"))(tiny_graph())


@pytest.mark.parametrize("version", ["8.5.3.1", "11.1.0.106"])
def test_a_parsers_errors_name_the_node(
    version: str, tiny_graph: Graphs, fake_tensorrt: Fake
) -> None:
    trt = fake_tensorrt(version)
    model = QuantizeTensorrt(precision="fp16", target=TARGETS[version])(tiny_graph())
    node = model.graph.graph.node[3]
    trt.state.parser_errors = [(3, "no importer\nfor it")] + [(4, "more")] * 3
    with pytest.raises(BuildError, match="no importer for it") as caught:
        BuildEngine(**SHORT)(model)
    assert f"{node.op_type} {node.name}: " in str(caught.value)
    assert str(caught.value).endswith("(and 1 more)")
