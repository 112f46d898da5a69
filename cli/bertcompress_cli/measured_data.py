"""The data that a model is measured on."""

from __future__ import annotations

from bertcompress.artifacts.trained_rows import read_trained_rows
from bertcompress.examples import Dataset
from bertcompress.inference.predictor import Predictor
from bertcompress.recipes.data_source import DataSource
from bertcompress_cli.output import note, notes


def measured_data(
    source: DataSource, model: Predictor, *, seed: int = 0, whole: bool = False
) -> Dataset:
    """Reads what a model is measured on, and says what was guessed.

    Args:
        source: Where it comes from.
        model: Says what the data must be.
        seed: For samples and partitions.
        whole: Whether a single file is taken whole; else its test part.
    """
    data = source.load(
        "test",
        task=model.task.name,
        label_kind=model.task.label_kind,
        seed=seed,
        require_labels=model.task.name != "feature-extraction",
        whole=whole,
    )
    notes(data.notes)
    if data.split == "all" and source.split is None:
        note(f"{data.source} is taken whole; --split test is what prune and finetune leave out")
    return data


def note_trained_rows(model: Predictor, data: Dataset) -> int:
    """Says in plain words if a model is judged by what it was trained on; returns how many rows."""
    trained = read_trained_rows(model.folder)
    known = trained.known_among(data.examples)
    if known:
        note(
            f"{known:,} of the {len(data):,} examples are rows that {model.folder.name} was "
            f"trained on ({trained.told}): figures on them say how well it remembers, not how well "
            "it answers texts that it has not seen"
        )
    return known
