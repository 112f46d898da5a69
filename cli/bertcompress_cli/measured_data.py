"""The data that a model is measured on."""

from __future__ import annotations

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
