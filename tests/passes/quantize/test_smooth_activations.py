"""SmoothQuant folded into the values: the same answers, less noise, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from bertcompress.search.int8_ways import int8_ways

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.bert.surgery import cut
from bertcompress.errors import CalibrationError, UsageError
from bertcompress.examples import Example
from bertcompress.graph.edit import copy_of, initializer_values
from bertcompress.graph.integer.smoothing import fold_scales, value_pairs
from bertcompress.passes.export.export_onnx import ExportOnnx
from bertcompress.passes.quantize.audit import drift_db
from bertcompress.passes.quantize.quantize_static import QuantizeStatic
from bertcompress.passes.quantize.smooth_activations import SmoothActivations, smoothed_layers
from bertcompress_calibration import Calibrate

Graphs = Callable[..., OnnxModel]
Examples = Callable[..., tuple[Example, ...]]
Calibrator = Callable[[OnnxModel], CalibrationTable]

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
def calibrate(examples: Examples) -> Calibrate:
    return Calibrate(examples(), samples=20, threads=1)


def test_large_channels_are_smoothed_and_int8_answers_better(
    tiny_graph: Graphs, calibrate: Calibrate
) -> None:
    model = with_large_channels(tiny_graph())

    smoothed = SmoothActivations(calibrate)(model)

    assert smoothed_layers(smoothed) == 2
    assert [step.name for step in smoothed.history][-1] == "SmoothActivations"
    assert drift_db(model, smoothed.graph, seed=1) > 80
    before = drift_db(model, QuantizeStatic(calibrate)(model).graph, seed=1)
    after = drift_db(model, QuantizeStatic(calibrate)(smoothed).graph, seed=1)
    assert after > before + 1


def test_it_is_a_way_of_int8_where_it_helps(tiny_graph: Graphs, calibrate: Calibrate) -> None:
    def ways(model: OnnxModel) -> set[str]:
        return set(
            int8_ways(model, ("static", "smoothed"), calibrate, None, embeddings=True, seed=0)
        )

    assert ways(with_large_channels(tiny_graph())) == {"static", "smoothed"}


def test_what_pruning_leaves_is_smoothed(
    tiny_checkpoint: Callable[..., Checkpoint], calibrate: Calibrate
) -> None:
    checkpoint = tiny_checkpoint()
    pruned = cut(checkpoint.model, heads=((0, 1, 3), ()), ffn=(tuple(range(37)), tuple(range(5))))
    model = ExportOnnx()(replace(checkpoint, model=pruned))

    smoothed = SmoothActivations(calibrate, alpha=0.5)(model)

    assert smoothed_layers(smoothed) == 1  # the other layer has no attention left
    assert drift_db(model, smoothed.graph, seed=1) > 80


def test_a_table_without_channels_is_refused(tiny_graph: Graphs, wide_ranges: Calibrator) -> None:
    with pytest.raises(
        CalibrationError, match=r"how large the channels of .* are; calibrate again"
    ):
        SmoothActivations(wide_ranges)(tiny_graph())


def test_a_quantized_graph_is_refused(tiny_graph: Graphs, calibrate: Calibrate) -> None:
    with pytest.raises(UsageError, match="smooth before quantizing"):
        SmoothActivations(calibrate)(QuantizeStatic(calibrate)(tiny_graph()))


def test_alpha_is_a_fraction(calibrate: Calibrate) -> None:
    with pytest.raises(UsageError, match="alpha must be 0 to 1, got 5"):
        SmoothActivations(calibrate, alpha=5)


def test_only_smoothing_where_nothing_can_be_is_told(
    tiny_graph: Graphs, wide_ranges: Calibrator
) -> None:
    with pytest.raises(UsageError, match="not expected to help this model anywhere"):
        int8_ways(tiny_graph(), ("smoothed",), wide_ranges, None, embeddings=True, seed=0)
