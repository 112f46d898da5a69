"""Loads a data set: finds the source, reads the split, renames labels, draws a sample."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from bertcompress.data.build_examples import build_examples, only_labelled
from bertcompress.data.folder import folder_source
from bertcompress.data.hub import hub_source
from bertcompress.data.json_file import splits_in
from bertcompress.data.labels import rename_labels
from bertcompress.data.partition import is_stratified, sample
from bertcompress.data.plain_lines import STDIN, read_stdin
from bertcompress.data.read_file import SUFFIXES, read_file
from bertcompress.data.split_source import ALL, SplitSource, read_split
from bertcompress.data.table import Columns, LabelKind, ReadSettings
from bertcompress.errors import DataError, UsageError, did_you_mean
from bertcompress.examples import Dataset

_NO_COLUMNS = Columns()


def load_dataset(
    source: str | Path,
    *,
    task: str,
    split: str | None = None,
    columns: Columns = _NO_COLUMNS,
    limit: int | None = None,
    seed: int = 0,
    label_map: Mapping[str, str] | None = None,
    label_kind: LabelKind = "auto",
    require_labels: bool = True,
    header: bool = True,
) -> Dataset:
    """Returns the examples of a file, a folder or a hub data set.

    Args:
        source: A file (.csv, .tsv, .jsonl, .json, .parquet, CoNLL columns), a folder with a file
            or folder for each split or with a folder of .txt files for each class, or a hub name
            (``hf:glue/sst2``).
        task: The task's Transformers pipeline name; it says what columns are needed.
        split: ``train``, ``validation``, ``test``, or what the source has. None means a single
            file whole, else test, validation or train, whichever is there first.
        columns: Columns that should not be guessed.
        limit: Draws that many examples, stratified by class, and keeps their order.
        seed: For the sample; parts that have to be made depend on the texts alone.
        label_map: Renames labels, such as ``{"0": "negative"}``.
        label_kind: Whether labels are one class, several, or a number; ``auto`` looks.
        require_labels: Whether examples without a label are left out, which is noted.
        header: Whether the first line of a CSV or TSV names its columns; else they are called
            ``1``, ``2``, ….

    Raises:
        UsageError: A setting can't be meant.
        DataError: The source can't be read, or not as data for this task.
        MissingDependencyError: A library that this source needs is not installed.
    """
    settings = ReadSettings(task, columns, label_kind, require_labels, header)
    if limit is not None and limit < 1:
        raise UsageError(f"limit must be 1 or more, got {limit}; leave it out to take all examples")
    found = _locate(str(source), settings)
    name, reading = read_split(found, split)
    examples, skipped = only_labelled(reading.examples, settings)
    notes = [*reading.notes, *skipped]
    if label_map:
        examples, renaming = rename_labels(examples, label_map)
        notes += renaming
    if limit is not None and limit < len(examples):
        how = ", stratified by label" if is_stratified(examples) else ""
        notes.append(f"{limit:,} of {len(examples):,} examples, drawn with seed {seed}{how}")
        examples = sample(examples, limit, seed=seed)
    return Dataset(examples, str(source), name, tuple(notes))


def _locate(source: str, settings: ReadSettings) -> SplitSource:
    if source.startswith("hf:"):
        return hub_source(source, settings)
    if not source:
        raise DataError("the data set's name is empty; type the path of a file or folder")
    path = Path(source).expanduser()
    if path.is_dir():
        return folder_source(path, settings, name=source)
    if source == STDIN:
        return SplitSource(source, {ALL: lambda: build_examples(read_stdin(), settings)})
    if path.exists():
        if path.suffix.lower() == ".json" and (tables := splits_in(path)):
            return SplitSource(
                source,
                {
                    split: functools.partial(build_examples, table, settings)
                    for split, table in tables.items()
                },
            )
        return SplitSource(source, {ALL: functools.partial(read_file, path, settings)})
    if _is_meant_as_path(source):
        raise DataError(
            f"{source} does not exist{_nearest(path)}; type the path of a file or folder"
        )
    return hub_source(source, settings)


def _is_meant_as_path(source: str) -> bool:
    """Says whether a name that is not on the disk can't be a hub name either."""
    path = Path(source)
    if source.startswith((".", "~", "/")) or "\\" in source:
        return True
    in_a_folder_here = len(path.parts) > 1 and path.parent.exists()
    return path.suffix.lower() in SUFFIXES or in_a_folder_here


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f", nor does the folder {path.parent}"
    return did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()))
