"""SmoothQuant folded into the values: the same answers, less noise, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.bert.surgery import cut
from bertcompress.codec import from_plain
from bertcompress.errors import CalibrationError, UsageError
from bertcompress.examples import Example
from bertcompress.graph.edit import copy_of, initializer_values
from bertcompress.graph.integer.smoothing import fold_scales, value_pairs
from bertcompress.passes.context import Context
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.audit import drift_db
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.smooth_activations import SmoothActivations, SmoothingDetails

Graphs = Callable[..., OnnxModel]
Examples = Callable[..., tuple[Example, ...]]

FACTOR = 40.0


def with_large_channels(model: OnnxModel) -> OnnxModel:
    """Makes two channels of every attention's result 40 times as large; answers stay the same."""
    graph = copy_of(model.graph)
    for pair in value_pairs(graph):
        scales = np.ones(initializer_values(graph, pair.output.weight).shape[0], np.float32)
        scales[[1, 9]] = 1 / FACTOR
        fold_scales(graph, {pair: scales})
    return replace(model, graph=graph)


@pytest.fixture
def context(calibrated: Callable[..., Context], examples: Examples) -> Context:
    return calibrated(examples())


def smoothed_layers(model: OnnxModel) -> int:
    return from_plain(SmoothingDetails, model.history[-1].details).smoothed


def test_large_channels_are_smoothed_and_int8_answers_better(
    tiny_graph: Graphs, context: Context
) -> None:
    model = with_large_channels(tiny_graph())

    smoothed = SmoothActivations()(model, context)

    assert smoothed_layers(smoothed) == 2
    assert [step.name for step in smoothed.history][-1] == "SmoothActivations"
    assert drift_db(model, smoothed.graph, seed=1) > 80
    before = drift_db(model, QuantizeStatic()(model, context).graph, seed=1)
    after = drift_db(model, QuantizeStatic()(smoothed, context).graph, seed=1)
    assert after > before + 1


@pytest.mark.slow
def test_what_pruning_leaves_is_smoothed(
    tiny_checkpoint: Callable[..., Checkpoint], context: Context
) -> None:
    checkpoint = tiny_checkpoint()
    pruned = cut(checkpoint.model, heads=((0, 1, 3), ()), ffn=(tuple(range(37)), tuple(range(5))))
    model = ExportOnnx()(replace(checkpoint, model=pruned))

    smoothed = SmoothActivations(alpha=0.5)(model, context)

    assert smoothed_layers(smoothed) == 1  # the other layer has no attention left
    assert drift_db(model, smoothed.graph, seed=1) > 80


def test_a_table_without_channels_is_refused(tiny_graph: Graphs, wide: Context) -> None:
    with pytest.raises(
        CalibrationError, match=r"how large the channels of .* are; calibrate again"
    ):
        SmoothActivations()(tiny_graph(), wide)


def test_a_quantized_graph_is_refused(tiny_graph: Graphs, context: Context) -> None:
    with pytest.raises(UsageError, match="smooth before quantizing"):
        SmoothActivations()(QuantizeStatic()(tiny_graph(), context), context)


def test_alpha_is_a_fraction() -> None:
    with pytest.raises(UsageError, match="alpha must be 0 to 1, got 5"):
        SmoothActivations(alpha=5)
