"""Held-out examples: the task's own metric, and errors against plain NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.examples import Example, TextExample
from bertcompress.passes.quantize.held_out import HeldOut
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic
from bertcompress.runtimes.ort.runtime import run_graph

Graphs = Callable[..., OnnxModel]
Examples = Callable[..., tuple[Example, ...]]


def test_the_metric_is_the_share_of_right_answers(tiny_graph: Graphs, examples: Examples) -> None:
    model = tiny_graph()
    given = examples(count=9)
    held_out = HeldOut(model, given)

    right = 0
    for example, feature in zip(given, held_out.features, strict=True):
        feed = {name: values[None] for name, values in feature.inputs.items()}
        (answer,) = run_graph(model.graph, [feed])
        assert isinstance(example, TextExample)
        label = model.config.id2label[int(answer["logits"][0].argmax())]
        right += label == example.label

    assert held_out.metric == "accuracy"
    assert held_out.score(model.graph) == pytest.approx(right / 9)


def test_errors_are_relative_squares(tiny_graph: Graphs, examples: Examples) -> None:
    model = tiny_graph(task="token-classification")
    held_out = HeldOut(model, examples("token-classification", 5))
    other = QuantizeDynamic()(model).graph
    at = [3, 1]

    outputs = held_out.run(other, at)
    errors = held_out.errors(outputs, at)

    for position, output, error in zip(at, outputs, errors, strict=True):
        feature = held_out.features[position]
        feed = {name: values[None] for name, values in feature.inputs.items()}
        (expected,) = run_graph(model.graph, [feed])
        right = expected["logits"][0].astype(np.float64)
        distance = ((right - output["logits"]) ** 2).sum()
        assert error == pytest.approx(distance / (right**2).sum(), rel=1e-3)
        assert error > 0


def test_the_float_graph_has_no_error(tiny_graph: Graphs, examples: Examples) -> None:
    held_out = HeldOut(tiny_graph(), examples(count=4))
    at = range(4)
    assert max(held_out.errors(held_out.run(held_out.graph, at), at)) < 1e-10


def test_embeddings_are_compared_with_those_in_float(
    tiny_graph: Graphs, examples: Examples
) -> None:
    task = "feature-extraction"
    model = tiny_graph(task=task)
    held_out = HeldOut(model, examples(task, 6))
    assert held_out.score(model.graph) == pytest.approx(1.0)
    assert held_out.score(QuantizeDynamic()(model).graph) < 1.0
