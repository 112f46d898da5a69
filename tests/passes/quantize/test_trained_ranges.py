"""Trained ranges travel with their weights, and with no others."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bertcompress.artifacts.artifact import Checkpoint, OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.artifacts.manifest import RANGES_NAME
from bertcompress.errors import CalibrationError
from bertcompress.passes.quantize.trained_ranges import ranges_file, trained_ranges
from bertcompress.passes.ranges import TRAINED

Checkpoints, Graphs = Callable[..., Checkpoint], Callable[..., OnnxModel]
QUERY, DENSE = (
    f"bert.encoder.layer.0.{name}" for name in ("attention.self.query", "intermediate.dense")
)
RANGES = {QUERY: (-3.0, 4.0), DENSE: (-1.5, 2.5)}
CALIBRATED = CalibrationTable({}, "minmax", ("a", "b"), 5, "the data", "weights")


@pytest.fixture
def content(tiny_checkpoint: Checkpoints) -> bytes:
    return ranges_file(tiny_checkpoint(), RANGES, CALIBRATED)


def carrying(graph: OnnxModel, content: bytes) -> OnnxModel:
    return replace(graph, side_files={RANGES_NAME: content})


def test_a_graph_finds_what_its_checkpoint_wrote(tiny_graph: Graphs, content: bytes) -> None:
    table = trained_ranges(carrying(tiny_graph(), content))

    for module, (low, high) in RANGES.items():
        ends = table.range_of(module)
        assert (ends.low, ends.high, ends.minimum, ends.maximum) == (low, high, low, high)
    assert (table.method, table.seed, table.data_fingerprint) == (TRAINED, 5, "the data")
    assert table.sample_ids == ("a", "b")


def test_one_weight_more_or_less_is_another_model(tiny_graph: Graphs, content: bytes) -> None:
    facts = json.loads(content)
    del facts["ranges"][DENSE]  # the hash is of both

    with pytest.raises(CalibrationError, match="was changed after its ranges were trained"):
        trained_ranges(carrying(tiny_graph(), json.dumps(facts).encode()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "has format 2, this bertcompress reads up to 1"),
        ({"ranges": {QUERY: [1.0]}}, "is damaged"),
        ({"ranges": {QUERY: ["low", "high"]}}, "is damaged"),
        ({"seed": None}, "is damaged"),
        ({"sample_ids": 3}, "is damaged"),
    ],
)
def test_a_file_that_was_edited_is_refused(
    change: dict[str, object], message: str, tiny_graph: Graphs, content: bytes
) -> None:
    edited = json.dumps({**json.loads(content), **change}).encode()

    with pytest.raises(CalibrationError, match=message):
        trained_ranges(carrying(tiny_graph(), edited))


def test_no_range_is_not_a_number(tiny_checkpoint: Checkpoints) -> None:
    with pytest.raises(ValueError, match="JSON"):
        ranges_file(tiny_checkpoint(), {QUERY: (np.nan, 1.0)}, CALIBRATED)
