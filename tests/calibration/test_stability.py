"""How far ranges move over seeds, by hand and on a real graph."""

from __future__ import annotations

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.calibration_table import CalibrationTable, TensorRange
from bertcompress.errors import UsageError
from bertcompress.examples import TextExample
from bertcompress.passes.context import Context
from bertcompress.passes.ranges import Ranges
from bertcompress_calibration import calibrate_over_seeds, calibrate_ranges
from bertcompress_calibration.stability import stability_of


def table(seed: int, *ends: tuple[float, float]) -> CalibrationTable:
    """Makes a table of tensors with these ranges; the first is read by two modules."""
    none = np.zeros(0, dtype=np.int64)
    ranges = {
        f"dense.{at}": TensorRange(f"x{at}", low, high, low, high, 1, none)
        for at, (low, high) in enumerate(ends)
    }
    return CalibrationTable({**ranges, "twin": ranges["dense.0"]}, "minmax", (), seed, "", "")


def test_a_change_by_hand() -> None:
    """The low end moves by 1, the high one by 2, of -2 … 8."""
    tables = [table(3, (-1, 6), (0, 0)), table(4, (-2, 8), (0, 0)), table(5, (-2, 7), (0, 0))]

    found = stability_of(tables)

    assert found.seeds == (3, 4, 5)
    assert found.changes == {"dense.0": pytest.approx(0.2), "dense.1": 0.0}
    assert (found.least_stable, found.largest) == ("dense.0", pytest.approx(0.2))


def test_the_table_is_that_of_the_first_seed(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    context, some = Context(texts), Ranges(samples=5)

    found = calibrate_over_seeds(tiny_model, some, context, seed=2, seeds=3)

    others = [calibrate_ranges(tiny_model, some, context, seed=seed) for seed in (2, 3, 4)]
    assert found.ranges == others[0].ranges
    assert found.sample_ids == others[0].sample_ids
    assert found.stability == stability_of(others)
    assert found.stability is not None
    assert found.stability.changes.keys() == {one[0] for one in found.share_groups.values()}
    assert 0 < found.stability.largest < 1


def test_one_seed_is_nothing_to_compare(
    tiny_model: OnnxModel, texts: tuple[TextExample, ...]
) -> None:
    with pytest.raises(UsageError, match="seeds must be 2 or more"):
        calibrate_over_seeds(tiny_model, Ranges(samples=5), Context(texts), seeds=1)


def test_seeds_that_draw_the_same(tiny_model: OnnxModel, texts: tuple[TextExample, ...]) -> None:
    with pytest.raises(UsageError, match="all 40 examples are drawn whatever the seed"):
        calibrate_over_seeds(tiny_model, Ranges(samples=40), Context(texts))
