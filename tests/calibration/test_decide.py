"""Another method's ranges from a saved table, without data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable, Stability, TensorRange
from bertcompress.errors import CalibrationError, UsageError
from bertcompress.examples import TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.ranges import Ranges
from bertcompress_calibration import METHODS, calibrate_ranges, decided_again


@pytest.fixture(scope="module")
def measured(tiny_model: OnnxModel, texts: tuple[TextExample, ...]) -> CalibrationTable:
    return calibrate_ranges(tiny_model, Ranges(samples=20), Context(texts), seed=0)


@pytest.mark.parametrize("method", list(METHODS))
def test_a_saved_table_gives_what_measuring_again_gives(
    method: str,
    measured: CalibrationTable,
    tiny_model: OnnxModel,
    texts: tuple[TextExample, ...],
    tmp_path: Path,
) -> None:
    read = CalibrationTable.load(measured.save(tmp_path / "table"))

    again = decided_again(read, method=method)

    ranges = Ranges(method, samples=20)
    assert again == calibrate_ranges(tiny_model, ranges, Context(texts), seed=0)


def test_query_key_and_value_keep_one_range(measured: CalibrationTable) -> None:
    again = decided_again(measured, method="mse")

    for modules in again.share_groups.values():
        assert len({id(again.ranges[module]) for module in modules}) == 1
    assert list(again.ranges) == list(measured.ranges)


def test_stability_belongs_to_the_method_it_was_measured_with(measured: CalibrationTable) -> None:
    stable = replace(measured, stability=Stability((0, 1), {"x": 0.1}))

    assert decided_again(stable, method="mse").stability is None


def test_a_table_of_format_1_has_nothing_to_decide_from(measured: CalibrationTable) -> None:
    one = TensorRange("x", -1.0, 1.0, -1.0, 1.0, 2, np.ones(2, dtype=np.int64), 1.0)
    old = CalibrationTable({"dense": one}, "minmax", ("a",), 0, "0", "0")

    with pytest.raises(CalibrationError, match="no full statistics of x"):
        decided_again(old, method="percentile")


def test_a_method_that_is_not_there(measured: CalibrationTable) -> None:
    with pytest.raises(UsageError, match="did you mean 'tokens'"):
        decided_again(measured, method="token")
