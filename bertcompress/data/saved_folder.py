"""Reads what `datasets` wrote with ``save_to_disk``: Arrow files beside a description."""

from __future__ import annotations

import functools
from pathlib import Path

from bertcompress.data.hub import HubSplit, reading_of_split
from bertcompress.data.split_source import ALL, SplitSource, split_named
from bertcompress.data.table import ReadSettings
from bertcompress.errors import DataError, MissingDependencyError

_OF_SPLITS, _OF_ONE = "dataset_dict.json", "state.json"


def is_saved(folder: Path) -> bool:
    """Says whether a folder was written by ``save_to_disk``."""
    if (folder / _OF_SPLITS).is_file():
        return True
    return (folder / _OF_ONE).is_file() and any(folder.glob("*.arrow"))


def saved_source(folder: Path, settings: ReadSettings, *, name: str) -> SplitSource:
    """Returns the splits of such a folder, or all of it where it is one table.

    Raises:
        MissingDependencyError: `datasets` is not installed.
        DataError: The folder is damaged.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError("datasets", "data", f"reading {folder}") from error
    try:
        loaded = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{folder} can't be read as a data set that was saved to disk: "
            f"{str(error).splitlines()[0][:200]}; save it again"
        ) from error
    splits: dict[str, HubSplit] = (
        {split_named(split) or split: rows for split, rows in loaded.items()}
        if isinstance(loaded, datasets.DatasetDict)
        else {ALL: loaded}
    )
    return SplitSource(
        name,
        {
            split: functools.partial(reading_of_split, rows, name, split, settings)
            for split, rows in splits.items()
        },
    )
