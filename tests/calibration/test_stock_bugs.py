"""ONNX Runtime's own calibrators go wrong in five ways; each is shown, and that ours does not.

Where a new version of ONNX Runtime repairs one, its half of the test fails and can go.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import (
    CalibrationDataReader,
    CalibrationMethod,
    TensorData,
    create_calibrator,
)
from onnxruntime.quantization.quant_utils import write_calibration_table

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable
from bertcompress.examples import TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.ranges import Ranges
from bertcompress_calibration import calibrate_ranges
from bertcompress_calibration.decide import decided
from bertcompress_calibration.range_methods import METHODS
from bertcompress_calibration.statistics import Observer, Statistics

Batch = NDArray[np.float32]
WATCHED = "shifted"
GRAPH = """
    <ir_version: 10, opset_import: ["": 21]>
    one (float[b, s, 2] x) => (y) {
        shifted = Identity(x)
        y = MatMul(shifted, weight)
    }"""


class Batches(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    """Gives the batches to a stock calibrator, and counts what it has kept at each."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._rest = iter(batches)
        self.calibrator: Any = None
        self.kept: list[int] = []

    def get_next(self) -> dict[str, Batch] | None:
        if self.calibrator is not None:
            self.kept.append(len(self.calibrator.intermediate_outputs))
        batch = next(self._rest, None)
        return None if batch is None else {"x": batch}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One product of a tensor that is what is fed."""
    graph = onnx.parser.parse_model(GRAPH)
    weight = onnx.numpy_helper.from_array(np.eye(2, dtype=np.float32), "weight")
    graph.graph.initializer.append(weight)
    onnx.save(graph, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def stock(
    model: Path, batches: Sequence[Batch], method: CalibrationMethod, **options: int
) -> tuple[tuple[float, float], list[int]]:
    """Returns the range that the stock calibrator finds, and what it kept on the way."""
    calibrator = create_calibrator(
        str(model),
        ["MatMul"],
        augmented_model_path=str(model.with_name("augmented.onnx")),
        calibrate_method=method,
        extra_options=options,
    )
    reader = Batches(batches)
    reader.calibrator = calibrator
    calibrator.collect_data(reader)
    low, high = calibrator.compute_data().data[WATCHED].range_value
    return (float(np.min(low)), float(np.max(high))), reader.kept


def ours(batches: Sequence[Batch]) -> Statistics:
    """Watches the same values."""
    observer = Observer()
    for batch in batches:
        observer.observe(batch.reshape(-1, 2))
    return observer.statistics


def batch(*values: float) -> Batch:
    return np.array(values, dtype=np.float32).reshape(1, -1, 2)


def test_1_no_data_is_dropped(model: Path) -> None:
    batches = [batch(-300, 1), batch(100, 1), batch(0, 1), batch(1, 1), batch(-6, 2)]

    whole, _ = stock(model, batches, CalibrationMethod.MinMax)
    dropped, _ = stock(model, batches, CalibrationMethod.MinMax, max_intermediate_outputs=2)

    assert whole == METHODS["minmax"](ours(batches)) == (-300.0, 100.0)
    assert dropped == (-6.0, 2.0)


def test_2_entropy_is_not_min_max(model: Path) -> None:
    values = np.random.default_rng(0).normal(size=(1, 1000, 2)).astype(np.float32)
    values[0, 0, 0] = 60
    seen = ours([values])

    disguised, _ = stock(model, [values], CalibrationMethod.Entropy)
    fine, _ = stock(model, [values], CalibrationMethod.Entropy, num_bins=2048)

    assert disguised[1] == 60
    assert fine[1] < 10
    assert METHODS["minmax"](seen)[1] == 60
    assert METHODS["entropy"](seen)[1] < 10


def test_3_texts_of_several_lengths(model: Path) -> None:
    batches = [batch(1, 2, 3, 4), batch(-1, 2)]

    with pytest.raises(ValueError, match="inhomogeneous"):
        stock(model, batches, CalibrationMethod.Percentile)

    assert METHODS["percentile"](ours(batches)) == (-1.0, 4.0)


def test_4_a_table_keeps_the_larger_side(tmp_path: Path) -> None:
    seen = ours([batch(-3, 1)])
    found = decided(WATCHED, seen, METHODS["minmax"])
    table = CalibrationTable({"dense": found}, "minmax", ("a",), 0, "0", "0")

    ends = {"lowest": np.float32(-3), "highest": np.float32(1)}
    write_calibration_table({WATCHED: TensorData(**ends)}, str(tmp_path))
    text = (tmp_path / "calibration.cache").read_text()
    read = CalibrationTable.load(table.save(tmp_path / "table")).range_of("dense")

    assert text.split() == [WATCHED, "1.0"]
    assert (read.low, read.high) == (-3.0, 1.0)
    assert read.channel_absmax is not None
    assert read.channel_absmax.tolist() == [3.0, 1.0]


def test_5_outputs_are_not_kept(
    model: Path, tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    """The stock calibrator holds every output of every batch, ours those of one."""
    _, kept = stock(model, [batch(1, 2)] * 20, CalibrationMethod.Percentile)
    longest = replace(texts[0], text="film " * 200)

    peaks = []
    for count in (8, 8, 80):  # the first also loads what is loaded once
        examples = tuple(replace(longest, id=f"train.tsv:{at}") for at in range(count))
        tracemalloc.start()
        calibrate_ranges(tiny_model, Ranges(samples=count), Context(examples), seed=0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    one_batch = 8 * 128 * (2 * (3 * 32 + 64) + 32) * 4  # texts, tokens, channels watched, bytes
    assert kept == list(range(21))
    assert peaks[2] - peaks[1] < 2 * one_batch
