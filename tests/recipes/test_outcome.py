"""What a verb that made an artifact ends with."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.passes.prune.prune_units import PruneHeads
from bertcompress.recipes.apply_steps import make_artifact
from bertcompress.recipes.data_source import DataSource
from bertcompress.recipes.outcome import VerbOutcome, outcome_of
from bertcompress.recipes.recipe import Recipe


@pytest.fixture
def made(model: Path, data: Path, here: Path) -> Callable[[DataSource | None], VerbOutcome]:
    """Gives ``made(data)``: the outcome of pruning the tiny model with that data."""

    def prune(source: DataSource | None) -> VerbOutcome:
        recipe = Recipe("prune", str(model), Path("a"), {"prune": (PruneHeads(0.25),)}, data=source)
        artifact = make_artifact(recipe, here / "a", overwrite=True)
        return outcome_of(recipe, artifact, Path("a"), seconds=61.0)

    return prune


def test_both_are_judged_on_what_is_held_out(
    made: Callable[[DataSource | None], VerbOutcome], data: Path
) -> None:
    outcome = made(DataSource(source=str(data)))

    before, after = outcome.quality
    assert before is not None
    assert after is not None
    assert before.count == after.count == 10  # the rows of validation.csv
    assert after.interval is not None
    assert after.interval.low <= after.value
    cells = [[cell.text for cell in row] for row in outcome.table.rows]
    assert [row[0] for row in cells] == [
        *("made by", "size", "parameters", "accuracy, 10 texts held out", "time")
    ]
    assert cells[0][2] == "PruneHeads"
    assert outcome.sizes[1] < outcome.sizes[0]
    assert " % (" in cells[3][2]
    assert cells[4][2] == "61 s"


def test_without_labels_nothing_is_judged(
    made: Callable[[DataSource | None], VerbOutcome], here: Path
) -> None:
    (here / "bare.csv").write_text("text\n" + "".join(f"a good film {n}\n" for n in range(30)))

    assert made(None).quality == (None, None)
    outcome = made(DataSource(source="bare.csv"))
    assert outcome.quality == (None, None)
    assert outcome.quality_facts is None
    assert [cell.text for cell in outcome.table.rows[3]] == ["quality", "not judged", "not judged"]


def test_what_to_type_next_names_the_same_data(
    made: Callable[[DataSource | None], VerbOutcome], data: Path
) -> None:
    source = DataSource(source=str(data), label="label", label_map={"positive": "positive"})
    words = shlex.split(made(source).following)

    assert words[:3] == ["bertcompress", "quantize", "a"]
    assert words[3:] == [
        *(
            "--data",
            str(data),
            "--label",
            "label",
            "--label-map",
            "positive=positive",
            "-o",
            "a-int8",
        )
    ]
