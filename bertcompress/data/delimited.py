r"""Reads CSV and TSV.

A CSV follows RFC 4180: a field with commas, quotes or line ends stands in quotes. A TSV has no
quoting at all, as the published SST-2 and GLUE files: a quote there is a character like any other,
so that one that is never closed does not swallow the rows after it.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bertcompress.data.table import Record, RecordTable
from bertcompress.data.text_file import read_text
from bertcompress.errors import DataError

_Row = tuple[int, list[str]]


def read_csv(path: Path, *, name: str) -> RecordTable:
    """Reads comma-separated values; the first line is the header."""
    return _read(path, name=name, delimiter=",")


def read_tsv(path: Path, *, name: str) -> RecordTable:
    """Reads tab-separated values without quoting; the first line is the header."""
    return _read(path, name=name, delimiter="\t")


def _read(path: Path, *, name: str, delimiter: str) -> RecordTable:
    rows = _rows(read_text(path), path=path, delimiter=delimiter)
    header = [column.strip() for column in next(rows)[1]]
    _check_header(path, header, delimiter)
    body = list(rows)
    if not body:
        raise DataError(
            f"{path} holds a header ({', '.join(header)}) and no rows; "
            "type the path of a file with examples"
        )
    _check_widths(path, header, body, delimiter)
    records = tuple(
        Record(f"{name}:{line}", dict(zip(header, row, strict=True))) for line, row in body
    )
    notes = _quote_notes(name, body) if delimiter == "\t" else ()
    return RecordTable(name, tuple(header), records, notes)


def _rows(text: str, *, path: Path, delimiter: str) -> Iterator[_Row]:
    """Yields each row that is not blank, with the number of its first line."""
    lines = io.StringIO(text, newline="")
    if delimiter == "\t":
        reader = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    first = 1
    try:
        for row in reader:
            if row:
                yield first, row
            first = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path} can't be read as {_form(delimiter)}: {error} in the row that starts at line "
            f"{first}; usually a quote there is never closed: write a quote inside a field twice"
        ) from error


def _form(delimiter: str) -> str:
    return "TSV" if delimiter == "\t" else "CSV"


def _check_header(path: Path, header: list[str], delimiter: str) -> None:
    repeated = [column for column, count in Counter(header).items() if count > 1]
    if repeated:
        raise DataError(
            f"{path} has two columns named {repeated[0]!r}; its header is {', '.join(header)}: "
            "give each column its own name"
        )
    other = [mark for mark in (",", ";", "\t", "|") if mark != delimiter and mark in header[0]]
    if len(header) > 1 or not other:
        return
    remedy = {"\t": "rename it to end in .tsv", ",": "rename it to end in .csv"}
    raise DataError(
        f"{path} has one column as {_form(delimiter)}, {header[0]!r}, which looks separated by "
        f"{other[0]!r}; {remedy.get(other[0], 'save it with commas between the columns')}"
    )


def _check_widths(path: Path, header: list[str], body: list[_Row], delimiter: str) -> None:
    ragged = [(line, row) for line, row in body if len(row) != len(header)]
    if not ragged:
        return
    line, row = ragged[0]
    more = f" (and {len(ragged) - 1:,} more lines like it)" if len(ragged) > 1 else ""
    remedy = (
        "remove tabs and line ends from inside of the texts"
        if delimiter == "\t"
        else "put a field that holds a comma in quotes"
    )
    raise DataError(
        f"{path}, line {line}, has {len(row)} fields where the header has {len(header)} "
        f"({', '.join(header)}){more}; {remedy}"
    )


def _quote_notes(name: str, body: list[_Row]) -> tuple[str, ...]:
    quoted = sum(
        any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in row) for _, row in body
    )
    if not quoted:
        return ()
    return (
        f"{quoted:,} rows of {name} hold a field in quotes; TSV has no quoting, so the quotes were "
        "kept as part of the text",
    )
