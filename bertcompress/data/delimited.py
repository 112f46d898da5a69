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
from dataclasses import replace
from pathlib import Path

from bertcompress.data.table import Record, RecordTable, note_on_bad_rows
from bertcompress.data.text_file import lines_of, read_text
from bertcompress.errors import DataError

_Row = tuple[int, list[str]]
_LONGEST_FIELD = 2**31 - 1  # the csv module's own limit of 131,072 characters is no rule of CSV
_MARK_NAMES = {";": "semicolons", "\t": "tabs"}


def read_csv(path: Path, *, name: str, header: bool = True) -> RecordTable:
    """Reads comma-separated values, or what its first line is separated by: ``;`` or tabs.

    Args:
        path: The file.
        name: What the examples' ids start with.
        header: Whether the first line names the columns; else they are ``1``, ``2``, ….
    """
    text = read_text(path)
    delimiter = _delimiter_of(next(line for line in lines_of(text) if line.strip()))
    table = _read(text, path, name=name, delimiter=delimiter, quoted=True, header=header)
    if delimiter == ",":
        return table
    note = f"the columns of {name} are separated by {_MARK_NAMES[delimiter]}"
    return replace(table, notes=(note, *table.notes))


def read_tsv(path: Path, *, name: str, header: bool = True) -> RecordTable:
    """Reads tab-separated values without quoting; see `read_csv`."""
    return _read(read_text(path), path, name=name, delimiter="\t", quoted=False, header=header)


def _delimiter_of(line: str) -> str:
    """Returns what the first line is separated by: a comma wherever there is one."""
    if "," in line:
        return "," if "\t" not in line else "\t"
    return next((mark for mark in ("\t", ";") if mark in line), ",")


def _read(
    text: str, path: Path, *, name: str, delimiter: str, quoted: bool, header: bool
) -> RecordTable:
    rows = list(_rows(text, path=path, delimiter=delimiter, quoted=quoted))
    full = [(line, row) for line, row in rows if any(cell.strip() for cell in row)]
    if header:
        columns, body = [column.strip() for column in full[0][1]], full[1:]
        columns, body = _without_empty_columns(columns, body)
        _check_header(path, columns, quoted)
    else:
        columns, body = [str(number) for number in range(1, len(full[0][1]) + 1)], full
    if not body:
        raise DataError(
            f"{path} holds a header ({', '.join(columns)}) and no rows; "
            "type the path of a file with examples"
        )
    body, ragged_notes = _of_width(path, columns, body, quoted, name=name)
    records = tuple(
        Record(f"{name}:{line}", dict(zip(columns, row, strict=True))) for line, row in body
    )
    notes = ragged_notes if quoted else (*ragged_notes, *_quote_notes(name, body))
    if len(rows) > len(full):
        notes = (*notes, f"{len(rows) - len(full):,} empty rows of {name} were skipped")
    return RecordTable(name, tuple(columns), records, notes)


def _without_empty_columns(columns: list[str], body: list[_Row]) -> tuple[list[str], list[_Row]]:
    """Leaves out columns at the end that have neither a name nor a value, as Excel writes them."""
    width = len(columns)
    while width > 1 and not columns[width - 1]:
        width -= 1
    if any(cell.strip() for _, row in body for cell in row[width:]):
        return columns, body
    return columns[:width], [(line, row[:width]) for line, row in body]


def _rows(text: str, *, path: Path, delimiter: str, quoted: bool) -> Iterator[_Row]:
    """Yields each row that is not blank, with the number of its first line."""
    lines = io.StringIO(text, newline="")
    csv.field_size_limit(_LONGEST_FIELD)
    if not quoted:
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
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
            f"{path} can't be read as {_form(quoted)}: {error} in the row that starts at line "
            f"{first}; usually a quote there is never closed: write a quote inside a field twice"
        ) from error


def _form(quoted: bool) -> str:
    return "CSV" if quoted else "TSV"


def _check_header(path: Path, header: list[str], quoted: bool) -> None:
    repeated = [column for column, count in Counter(header).items() if count > 1]
    if repeated:
        raise DataError(
            f"{path} has two columns named {repeated[0]!r}; its header is {', '.join(header)}: "
            "give each column its own name, or type --no-header if the first line is an example"
        )
    other = [mark for mark in (",", ";", "\t", "|") if mark in header[0]]
    if len(header) > 1 or not other:
        return
    remedy = "rename it to end in .csv" if not quoted else "save it with commas between the columns"
    raise DataError(
        f"{path} has one column as {_form(quoted)}, {header[0]!r}, which looks separated by "
        f"{other[0]!r}; {remedy}"
    )


def _of_width(
    path: Path, header: list[str], body: list[_Row], quoted: bool, *, name: str
) -> tuple[list[_Row], tuple[str, ...]]:
    """Returns the rows with as many fields as the header, and a note on the others."""
    ragged = [(line, row) for line, row in body if len(row) != len(header)]
    if not ragged:
        return body, ()
    line, row = ragged[0]
    more = f" (and {len(ragged) - 1:,} more lines like it)" if len(ragged) > 1 else ""
    remedy = (
        "remove tabs and line ends from inside of the texts"
        if not quoted
        else "put a field that holds a comma in quotes"
    )
    fault = DataError(
        f"{path}, line {line}, has {len(row)} fields where the header has {len(header)} "
        f"({', '.join(header)}){more}; {remedy}"
    )
    note = note_on_bad_rows(name, len(ragged), len(body), fault)
    return [(line, row) for line, row in body if len(row) == len(header)], (note,)


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
