"""The outermost phase is told, step by step, and a build stops when asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.passes.context import Context
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.progress import BuildProgress
from fixtures.engines import NEEDS_TRANSFORMERS_5, SHORT

pytestmark = NEEDS_TRANSFORMERS_5


Graphs = Callable[..., OnnxModel]


Fake = Callable[..., Any]


def test_progress_is_told_and_bounded(tiny_graph: Graphs, fake_tensorrt: Fake) -> None:
    fake_tensorrt()
    told: list[tuple[str, int, int]] = []
    BuildEngine(**SHORT)(tiny_graph(), Context(progress=lambda *one: told.append(one)))
    assert told == [("build engine, Building", step, 4) for step in (0, 1, 2, 3, 4, 4)]


def test_only_the_outermost_phase_is_told_and_no_step_past_its_end() -> None:
    told: list[tuple[str, int, int]] = []
    build = BuildProgress(lambda *line: told.append(line))

    build.begin("Building", None, 2)
    build.begin("Tactics", "Building", 9)
    assert build.advance("Tactics", 0)
    assert [build.advance("Building", step) for step in (0, 1, 2)] == [True, True, True]
    build.finish("Tactics")
    build.finish("Building")

    assert told == [("build engine, Building", done, 2) for done in (0, 1, 2, 2, 2)]


def test_a_stopped_build_ends_at_its_next_step() -> None:
    build = BuildProgress(lambda *line: None)
    build.begin("Building", None, 3)
    assert build.advance("Building", 0)

    build.stop()

    assert build.stopped
    assert not build.advance("Building", 1)
