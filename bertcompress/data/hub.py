"""Reads a data set of the Hugging Face hub through the `datasets` library, which is optional.

``hf:owner/name``, ``hf:name`` and ``hf:owner/name/config`` are names; ``hf:glue/sst2`` is tried as
a repository first and then as the configuration ``sst2`` of ``glue``. Class numbers become the
class names that the hub declares; -1, which stands for a hidden label, becomes no label.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from bertcompress.data.build_examples import build_examples
from bertcompress.data.class_names import with_names
from bertcompress.data.split_source import SplitSource
from bertcompress.data.table import Reading, ReadSettings, Record, RecordTable
from bertcompress.errors import DataError, MissingDependencyError


class HubSplit(Protocol):
    """The part of `datasets.Dataset` that is used."""

    @property
    def features(self) -> Mapping[str, object]:
        """The type of each column."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Mapping[str, object]]: ...


Fetch = Callable[[str, str | None], Mapping[str, HubSplit]]
"""Takes repository and configuration; raises OSError, ValueError or RuntimeError where it fails."""


def hub_source(source: str, settings: ReadSettings, *, fetch: Fetch | None = None) -> SplitSource:
    """Returns the splits of a hub data set.

    Args:
        source: The name, with or without ``hf:``.
        settings: The task and how columns are read.
        fetch: Gets the splits; `datasets.load_dataset` if left out.

    Raises:
        MissingDependencyError: `datasets` is not installed.
        DataError: The hub can't be reached, or has no such data set.
    """
    fetched = _fetched(source, fetch or _load(source))
    return SplitSource(
        source,
        {
            split: functools.partial(reading_of_split, rows, source, split, settings)
            for split, rows in fetched.items()
        },
    )


def _load(source: str) -> Fetch:
    try:
        import datasets
    except ImportError as error:
        raise MissingDependencyError(
            "datasets", "data", f"reading {source} from the hub"
        ) from error

    def load(repository: str, config: str | None) -> Mapping[str, HubSplit]:
        try:
            splits: Mapping[str, HubSplit] = datasets.load_dataset(repository, config)
        except datasets.exceptions.DatasetsError as error:
            raise ValueError(str(error)) from error
        return splits

    return load


def _fetched(source: str, fetch: Fetch) -> Mapping[str, HubSplit]:
    candidates = _candidates(source)
    first: OSError | ValueError | RuntimeError | None = None
    for repository, config in candidates:
        try:
            return fetch(repository, config)
        except (OSError, ValueError, RuntimeError) as error:
            first = first or error
    reason = str(first).splitlines()[0][:200] if str(first) else type(first).__name__
    raise DataError(
        f"{source} is neither a file or folder here nor a data set that the hub gives: {reason}; "
        "check the name and the connection, or type the path of a file"
    ) from first


def _candidates(source: str) -> list[tuple[str, str | None]]:
    """Returns what a name may mean: repository and configuration, in the order to try."""
    name = source.removeprefix("hf:").strip("/")
    parts = name.split("/")
    if len(parts) > 3 or not all(parts):
        raise DataError(
            f"{source} is not a hub name; type hf:name, hf:owner/name or hf:owner/name/config"
        )
    if len(parts) == 3:
        return [(f"{parts[0]}/{parts[1]}", parts[2])]
    if len(parts) == 2:
        return [(name, None), (parts[0], parts[1])]
    return [(name, None)]


def reading_of_split(rows: HubSplit, source: str, split: str, settings: ReadSettings) -> Reading:
    """Returns a split's examples, class numbers by the names that its columns declare."""
    name = f"{source}/{split}"
    if not len(rows):
        raise DataError(f"{name} has no rows; type --split with another split")
    columns = tuple(rows.features)
    class_names = {column: _class_names(rows.features[column]) for column in columns}
    named = {column: names for column, names in class_names.items() if names is not None}
    records = tuple(
        Record(f"{name}:{position}", with_names(row, named))
        for position, row in zip(itertools.count(1), rows, strict=False)
    )
    return build_examples(RecordTable(name, columns, records), settings)


def _class_names(feature: object) -> list[str] | None:
    """Returns the names of a ClassLabel or of a list of ClassLabel, else None."""
    inner = feature[0] if isinstance(feature, list) and feature else feature
    inner = getattr(inner, "feature", inner)
    names = getattr(inner, "names", None)
    return list(names) if isinstance(names, list) else None
