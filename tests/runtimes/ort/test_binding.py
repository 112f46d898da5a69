"""Tensors bound once for each shape: the answers of a plain run, and the caller's own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.parity.outputs import compare_outputs, parity_feeds
from bertcompress.runtimes.ort.binding import BoundRuns
from bertcompress.runtimes.ort.runtime import OrtRuntime

Sessions = Callable[..., onnxruntime.InferenceSession]


@pytest.mark.slow
@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("task", ["text-classification", "question-answering"])
def test_bound_tensors_answer_as_a_plain_run(
    tiny_graph: Callable[..., OnnxModel], session_of: Sessions, task: str, graphs: bool
) -> None:
    model = tiny_graph(task=task)
    runs = BoundRuns(onnxruntime, session_of(model), device="cpu", longest=128, graphs=graphs)
    feeds = parity_feeds(vocabulary=60, longest=100)
    with OrtRuntime(model.graph.SerializeToString(), threads=1) as plain:
        expected = [plain.run(feed) for feed in feeds]
    first, again = [runs.run(feed) for feed in feeds], [runs.run(feed) for feed in feeds]
    assert compare_outputs(expected, first, feeds).figures.largest_difference < 1e-5
    assert compare_outputs(first, again, feeds).figures.largest_difference == 0
    shapes = {feed["input_ids"].shape for feed in feeds}
    assert len(runs) == (len(shapes) - 1 if graphs else 0)  # (1, 2) and (1, 16) share one


def test_answers_are_the_callers_own(
    tiny_graph: Callable[..., OnnxModel], session_of: Sessions
) -> None:
    runs = BoundRuns(onnxruntime, session_of(tiny_graph()), device="cpu", longest=128, graphs=True)
    one, two = parity_feeds(vocabulary=60, longest=16)[:2]
    first = runs.run(one)
    kept = first["logits"].copy()
    runs.run({**two, "input_ids": two["input_ids"][:1] * 0 + 5})
    np.testing.assert_array_equal(first["logits"], kept)
