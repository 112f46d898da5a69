"""A calibration's table from a recipe's model and data."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.errors import UsageError
from bertcompress.passes.ranges import Ranges
from bertcompress.recipes.calibrate_recipe import CalibrateOptions, calibration_of
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.recipe import Recipe


def recipe(model: Path, data: Path | None) -> Recipe:
    source = None if data is None else DataSource(source=str(data))
    return Recipe("calibrate", str(model), Path(), {"calibrate": ()}, data=source, seed=3)


@pytest.mark.slow
def test_training_examples_or_random_words_give_a_table(model: Path, data: Path) -> None:
    notes: list[str] = []
    asked = CalibrateOptions(Ranges("minmax", 6))

    table = calibration_of(recipe(model, data), asked, note=notes.append)

    assert (table.method, len(table.sample_ids), table.split, table.seed) == (
        "minmax",
        6,
        "train",
        3,
    )
    assert notes[0] == f"{model} is a checkpoint: it is exported to ONNX first"
    assert notes[1].startswith("guessed from the column names: ")
    asked = CalibrateOptions(Ranges("minmax", 3), random=True)
    assert calibration_of(recipe(model, None), asked, note=notes.append).split == "random"
    assert notes[2].startswith("the texts are random words")


@pytest.mark.slow
def test_an_unknown_method_is_refused(model: Path, data: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'percentile'"):
        calibration_of(recipe(model, data), CalibrateOptions(Ranges("percentil")))
