"""Reads a folder: a file for each split, a folder for each split, or a folder for each class.

    sst2/train.tsv validation.tsv test.tsv          conll2003/eng.train eng.testa eng.testb
    aclImdb/train/pos/0_9.txt train/neg/… test/…    data/train-00000-of-00002.parquet …
    tweeteval/train_text.txt train_labels.txt …     default/train/0000.parquet …
    saved/dataset_dict.json train/*.arrow …         20news/alt.atheism/49960 …

A folder that holds nothing but one folder is that folder; two of them that could be meant are named
and refused. A file's split is the one word of its name that means one (``eng.testa``,
``dev-v1.1.json``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from bertcompress.data.build_examples import build_examples, check_fits
from bertcompress.data.plain_lines import read_paired_lines, text_and_labels
from bertcompress.data.read_file import TEXT_SUFFIX, is_data_file, read_file
from bertcompress.data.saved_folder import is_saved, saved_source
from bertcompress.data.split_source import ALL, SplitSource, split_in_name, split_named
from bertcompress.data.table import Reading, ReadSettings, refuse_columns
from bertcompress.data.text_file import read_text
from bertcompress.errors import DataError
from bertcompress.examples import Example, TextExample

_SHARD = re.compile(r"-(\d+)-of-(\d+)(-[0-9a-f]+)?$")
_UNLABELLED_CLASSES = ("unsup", "unsupervised", "unlabeled", "unlabelled")
"""Folders beside those of classes whose texts have no label, as in aclImdb."""

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
    if is_saved(folder):
        return saved_source(folder, settings, name=name)
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
    inner = [entry for entry in folders if _holds_splits(entry)]
    if len(inner) == 1:
        return folder_source(inner[0], settings, name=name)
    if inner:
        raise DataError(
            f"{folder} has several folders with splits of their own: "
            f"{', '.join(entry.name for entry in inner)}; type the path of the one you mean, such "
            f"as {inner[0]}"
        )
    return SplitSource(name, {ALL: _folder_reader(folder, settings)})


def _holds_splits(folder: Path) -> bool:
    """Says whether a folder has files or folders that are named after splits."""
    files, folders = _entries(folder)
    named = [file for file in files if split_in_name(file.name) and _is_readable(file)]
    return bool(named) or any(split_named(entry.name) for entry in folders)


def _is_readable(file: Path) -> bool:
    """Says whether a file that is named after a split may be data: plain text, too."""
    return file.suffix.lower() == TEXT_SUFFIX or is_data_file(file)


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns the files and the folders inside, sorted, without hidden ones."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return [e for e in entries if e.is_file()], [e for e in entries if e.is_dir()]


def _split_files(folder: Path, files: Sequence[Path], settings: ReadSettings) -> dict[str, _Read]:
    found: dict[str, list[Path]] = {}
    for file in files:
        split = split_in_name(file.name)
        if split is not None and _is_readable(file):
            found.setdefault(split, []).append(file)
    splits: dict[str, _Read] = {}
    for split, claiming in found.items():
        same = [file for file in claiming if is_data_file(file)] or claiming
        paired = text_and_labels(same)
        if paired is not None:
            splits[split] = functools.partial(_read_paired, paired, settings)
            continue
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


def _read_paired(paired: tuple[Path, Path], settings: ReadSettings) -> Reading:
    refuse_columns(paired[0].name, "a text a line beside its labels", settings.columns)
    return build_examples(read_paired_lines(*paired), settings)


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
    if is_saved(folder):
        return saved_source(folder, settings, name=folder.name).splits[ALL]
    files, folders = _entries(folder)
    classes = [entry for entry in folders if _class_files(entry)]
    if len(classes) > 1:
        return functools.partial(_read_classes, classes, settings)
    data_files = [file for file in files if is_data_file(file)]
    shards = all(_SHARD.search(file.stem) or file.stem.isdecimal() for file in data_files)
    if len(data_files) == 1 or (data_files and shards):
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


def _class_files(folder: Path) -> list[Path]:
    """Returns a class's texts: ``.txt`` files, or files without an ending, as 20 Newsgroups has."""
    files, _ = _entries(folder)
    return [file for file in files if file.suffix in (TEXT_SUFFIX, "")]


def _read_classes(classes: Sequence[Path], settings: ReadSettings) -> Reading:
    refuse_columns(classes[0].parent.name, "a folder for each class", settings.columns)
    labelled = [folder for folder in classes if folder.name not in _UNLABELLED_CLASSES]
    notes = [
        f"the texts in {folder.name} have no label and were skipped"
        for folder in classes
        if folder not in labelled
    ]
    examples: list[Example] = []
    empty = 0
    for folder in labelled:
        for file in _class_files(folder):
            if not file.read_bytes().strip():
                empty += 1
                continue
            place = f"{folder.parent.name}/{folder.name}/{file.name}"
            examples.append(TextExample(place, read_text(file).strip(), label=folder.name))
    if not examples:
        raise DataError(f"all texts in {classes[0].parent} are empty; type another folder")
    check_fits(examples[0], str(classes[0].parent), settings)
    if empty:
        notes.append(f"{empty:,} empty files were skipped")
    names = ", ".join(folder.name for folder in labelled)
    return Reading(tuple(examples), (f"the labels are the names of the folders: {names}", *notes))
