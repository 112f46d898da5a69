"""Reads one file: the ending names the format, and for CoNLL columns the content does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bertcompress.data.build_examples import build_examples, check_fits
from bertcompress.data.conll import looks_like_conll, read_conll
from bertcompress.data.delimited import read_csv, read_tsv
from bertcompress.data.json_file import read_json, read_jsonl
from bertcompress.data.parquet_file import read_parquet
from bertcompress.data.plain_lines import looks_like_table, read_lines
from bertcompress.data.table import TEXT_TASKS, TOKEN_TASK, Reading, ReadSettings, RecordTable
from bertcompress.errors import DataError, did_you_mean

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
"""The endings that name a format."""
TEXT_SUFFIX = ".txt"


def read_file(path: Path, settings: ReadSettings, *, name: str | None = None) -> Reading:
    """Returns the file's examples.

    Args:
        path: The file.
        settings: The task and how its columns are read.
        name: What the examples' ids start with; the file's name if left out.

    Raises:
        DataError: The file can't be read, or does not hold the task's examples.
    """
    name = path.name if name is None else name
    content = _content(path, settings, name)
    if isinstance(content, RecordTable):
        return build_examples(content, settings)
    check_fits(content.examples[0], name, settings)
    return content


def columns_of(
    path: Path, names: Sequence[str] | None = None, *, header: bool = True
) -> dict[str, dict[str, object]]:
    """Returns each row's values by the id that its example has.

    Args:
        path: A file with named columns.
        names: Which columns; None takes all.
        header: As in `bertcompress.load_dataset`.

    Raises:
        DataError: The file has no columns, or none of such a name.
    """
    if not path.is_file():
        raise DataError(f"{path} is no file with columns to keep; give a CSV, TSV or JSONL file")
    table = _content(path, ReadSettings(TEXT_TASKS[0], header=header), path.name)
    if isinstance(table, Reading):
        raise DataError(f"{path} has no columns to keep; give a CSV, TSV or JSONL file")
    for name in names or ():
        if name not in table.columns:
            near = did_you_mean(name, table.columns) or f"; it has {', '.join(table.columns)}"
            raise DataError(f"{path} has no column {name!r}{near}")
    taken = table.columns if names is None else names
    return {
        record.place: {name: record.values.get(name) for name in taken} for record in table.records
    }


def is_data_file(path: Path) -> bool:
    """Says whether the file is of a known format, by its ending or as CoNLL by its content."""
    return path.suffix.lower() in SUFFIXES or looks_like_conll(path)


def _content(path: Path, settings: ReadSettings, name: str) -> RecordTable | Reading:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return read_csv(path, name=name, header=settings.header)
    conll = suffix not in SUFFIXES or suffix == ".tsv"
    conll = conll and settings.header and not settings.columns.text_pair
    if conll and (settings.task == TOKEN_TASK or looks_like_conll(path)):
        return read_conll(path, name=name, columns=settings.columns)
    if suffix == ".tsv" or (suffix == TEXT_SUFFIX and looks_like_table(path)):
        return read_tsv(path, name=name, header=settings.header)
    if not settings.header:
        raise DataError(f"{path} has no header to leave out; --no-header is for CSV and TSV")
    if suffix in (".jsonl", ".ndjson"):
        return read_jsonl(path, name=name)
    if suffix == ".json":
        return read_json(path, name=name, columns=settings.columns)
    if suffix == ".parquet":
        return read_parquet(path, name=name)
    if suffix == TEXT_SUFFIX:
        return read_lines(path, name=name)
    raise DataError(
        f"{path} has no known ending; type the path of a file that ends in {', '.join(SUFFIXES)}, "
        "or of a file with CoNLL columns for token-classification"
    )
