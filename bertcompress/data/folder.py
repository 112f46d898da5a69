"""Reads a folder: a file for each split, a folder for each split, or a folder for each class.

    sst2/train.tsv validation.tsv test.tsv          conll2003/eng.train eng.testa eng.testb
    aclImdb/train/pos/0_9.txt train/neg/… test/…    data/train-00000-of-00002.parquet …

A file's split is the one word of its name that means one (``eng.testa``, ``dev-v1.1.json``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from bertcompress.data.build_examples import check_fits
from bertcompress.data.read_file import is_data_file, read_file
from bertcompress.data.split_source import ALL, SplitSource, split_in_name, split_named
from bertcompress.data.table import Reading, ReadSettings
from bertcompress.data.text_file import read_text
from bertcompress.errors import DataError
from bertcompress.examples import Example, TextExample

_SHARD = re.compile(r"-(\d+)-of-(\d+)$")

_Read = Callable[[], Reading]


def folder_source(folder: Path, settings: ReadSettings, *, name: str) -> SplitSource:
    """Returns the folder's splits; files are read only when their split is asked for.

    Args:
        folder: The folder.
        settings: The task and how columns are read.
        name: What the user typed, for messages.

    Raises:
        DataError: There is nothing to read, or two files claim one split.
    """
    files, folders = _entries(folder)
    splits = _split_files(folder, files, settings)
    for entry in folders:
        split = split_named(entry.name)
        if split is None:
            continue
        if split in splits:
            raise DataError(
                f"{folder} has both a file and a folder for {split}; remove one, or type the path "
                "of the one you mean"
            )
        splits[split] = _folder_reader(entry, settings)
    if splits:
        return SplitSource(name, splits)
    return SplitSource(name, {ALL: _folder_reader(folder, settings)})


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns the files and the folders inside, sorted, without hidden ones."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return [e for e in entries if e.is_file()], [e for e in entries if e.is_dir()]


def _split_files(folder: Path, files: Sequence[Path], settings: ReadSettings) -> dict[str, _Read]:
    found: dict[str, list[Path]] = {}
    for file in files:
        split = split_in_name(file.name)
        if split is not None and is_data_file(file):
            found.setdefault(split, []).append(file)
    splits: dict[str, _Read] = {}
    for split, same in found.items():
        chosen = _one_or_shards(folder, split, same)
        passed_over = ", ".join(file.name for file in same if file not in chosen)
        note = f"of several files for {split}, {chosen[0].name} was read and not {passed_over}"
        notes = (note,) if passed_over else ()
        splits[split] = functools.partial(_read_files, chosen, settings, notes=notes)
    return splits


def _one_or_shards(folder: Path, split: str, files: list[Path]) -> list[Path]:
    """Returns the split's only file, the one with just its name, or all its numbered shards."""
    if len(files) == 1:
        return files
    names = ", ".join(file.name for file in files)
    shards = [_SHARD.search(file.stem) for file in files]
    if any(shard is None for shard in shards):
        exact = [file for file in files if split_named(file.stem) == split]
        if len(exact) == 1:
            return exact
        raise DataError(
            f"{folder} has several files for {split}: {names}; type the path of the one you mean"
        )
    numbers = [int(shard[1]) for shard in shards if shard is not None]
    counts = {int(shard[2]) for shard in shards if shard is not None}
    if counts != {len(files)} or numbers != list(range(len(files))):
        raise DataError(f"{folder} has not all shards of {split}, only {names}; fetch the others")
    return files


def _read_files(
    files: Sequence[Path], settings: ReadSettings, *, notes: tuple[str, ...] = ()
) -> Reading:
    readings = [read_file(file, settings) for file in files]
    examples: list[Example] = []
    for reading in readings:
        examples += reading.examples
    taken = dict.fromkeys(note for reading in readings for note in reading.notes)
    return Reading(tuple(examples), (*notes, *taken))


def _folder_reader(folder: Path, settings: ReadSettings) -> _Read:
    """Returns the reader of a folder without splits: class folders, or its only data file."""
    files, folders = _entries(folder)
    classes = [entry for entry in folders if any(entry.glob("*.txt"))]
    if len(classes) > 1:
        return functools.partial(_read_classes, classes, settings)
    data_files = [file for file in files if is_data_file(file)]
    if len(data_files) == 1 or (data_files and all(_SHARD.search(f.stem) for f in data_files)):
        return functools.partial(_read_files, data_files, settings)
    found = ", ".join([*(f.name for f in files), *(f"{f.name}/" for f in folders)][:20])
    if len(data_files) > 1:
        raise DataError(
            f"{folder} has several data files and none is named after a split: {found}; type the "
            "path of one, or name them train, validation and test"
        )
    raise DataError(
        f"{folder} holds no data set, only {found or 'nothing'}; type a folder with train, "
        "validation and test files (CSV, TSV, JSONL, JSON, Parquet, CoNLL), or with a folder of "
        ".txt files for each class"
    )


def _read_classes(classes: Sequence[Path], settings: ReadSettings) -> Reading:
    examples: list[Example] = []
    for folder in classes:
        for file in sorted(folder.glob("*.txt")):
            place = f"{folder.parent.name}/{folder.name}/{file.name}"
            examples.append(TextExample(place, read_text(file).strip(), label=folder.name))
    check_fits(examples[0], str(classes[0].parent), settings)
    names = ", ".join(folder.name for folder in classes)
    return Reading(tuple(examples), (f"the labels are the names of the folders: {names}",))
