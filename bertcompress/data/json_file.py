"""Reads JSONL (one object a line) and JSON (a list of objects, or SQuAD)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bertcompress.data.split_source import split_named
from bertcompress.data.squad import is_squad, read_squad
from bertcompress.data.table import (
    Columns,
    Reading,
    Record,
    RecordTable,
    note_on_bad_rows,
    refuse_columns,
)
from bertcompress.data.text_file import lines_of, read_text
from bertcompress.errors import DataError
from bertcompress.reading import json_value

_ANY_COLUMNS = Columns()
_ESCAPES = re.compile(
    r"\\\\|\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(\\u[dD][89a-fA-F][\da-fA-F]{2})"
)
"""An escaped backslash, a whole surrogate pair, or half of one (group 1)."""


def read_jsonl(path: Path, *, name: str) -> RecordTable:
    """Reads one JSON object a line; blank lines are passed over."""
    return table_of_lines(read_text(path), path=path, name=name)


def read_json(path: Path, *, name: str, columns: Columns = _ANY_COLUMNS) -> RecordTable | Reading:
    """Reads SQuAD, a list of records, a list under ``data``, or what is JSONL in truth.

    Args:
        path: The file.
        name: What the examples' ids start with.
        columns: What was typed of the columns; SQuAD has no use for it.
    """
    text, notes = _whole(read_text(path), name)
    try:
        content = json_value(text, finite=False)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            table = table_of_lines(text, path=path, name=name)
            told = f"{name} was read as JSONL: it holds one object a line"
            return replace(table, notes=(*notes, told))
        raise DataError(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}; "
            "repair it, or type the path of another file"
        ) from error
    except ValueError as error:
        raise DataError(f"{path} can't be read: {error}; type another file") from error
    if is_squad(content):
        refuse_columns(name, "SQuAD data", columns)
        squad = read_squad(content, name=name)
        return replace(squad, notes=(*notes, *squad.notes))
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        content = content["data"]
    if not isinstance(content, list):
        raise DataError(
            f"{path} holds one JSON {_kind(content)}, not a list of records or SQuAD data; "
            "write the examples as a list of objects, or one object a line in a .jsonl file"
        )
    rows = [(position, row) for position, row in enumerate(content, start=1)]
    table = table_of(rows, path=path, name=name, unit="record")
    return replace(table, notes=(*notes, *table.notes))


def table_of(rows: list[tuple[int, object]], *, path: Path, name: str, unit: str) -> RecordTable:
    """Returns the rows as a table; what is no JSON object is skipped and counted.

    Args:
        rows: Pairs of position (line or record number) and value.
        path: The file, for messages.
        name: The name that the examples' ids start with.
        unit: What the position counts: ``line`` or ``record``.
    """
    if not rows:
        raise DataError(f"{path} holds no records; type the path of a file with examples")
    columns: dict[str, None] = {}
    records: list[Record] = []
    faults: list[DataError] = []
    for position, row in rows:
        if (
            isinstance(row, list)
            and len(row) > 1
            and not any(isinstance(v, list | dict) for v in row)
        ):
            row = {str(number): value for number, value in enumerate(row, start=1)}
        if not isinstance(row, Mapping):
            faults.append(
                DataError(
                    f"{path}, {unit} {position}, is a JSON {_kind(row)}, not an object; "
                    'write each example as {"text": …, "label": …}'
                )
            )
            continue
        columns.update(dict.fromkeys(row))
        records.append(Record(f"{name}:{position}", row))
    notes: tuple[str, ...] = ()
    if faults:
        notes = (note_on_bad_rows(name, len(faults), len(rows), faults[0]),)
    return RecordTable(name, tuple(columns), tuple(records), notes=notes)


def splits_in(path: Path) -> dict[str, RecordTable]:
    """Returns the splits of a JSON file that has a list for each, as CLINC150 has; else nothing.

    Rows that are lists have the columns ``1``, ``2``, ….
    """
    try:
        content = json_value(read_text(path), finite=False)
    except ValueError:
        return {}
    if not isinstance(content, dict) or not any(split_named(str(key)) for key in content):
        return {}
    if not all(isinstance(rows, list) for rows in content.values()):
        return {}
    return {
        split_named(key) or key: table_of(
            list(enumerate(rows, start=1)), path=path, name=f"{path.name}/{key}", unit="record"
        )
        for key, rows in content.items()
        if rows
    }


def table_of_lines(text: str, *, path: Path, name: str) -> RecordTable:
    """Returns one JSON object a line as a table; blank lines are passed over."""
    text, notes = _whole(text, name)
    rows: list[tuple[int, object]] = []
    faults: list[DataError] = []
    for number, line in enumerate(lines_of(text), start=1):
        if not line.strip():
            continue
        try:
            rows.append((number, json_value(line, finite=False)))
        except json.JSONDecodeError as error:
            whole = line.lstrip().startswith("[") or (number == 1 and line.strip() == "{")
            remedy = (
                "rename it to end in .json if it is one JSON document"
                if whole
                else "write one JSON object a line"
            )
            faults.append(
                DataError(
                    f"{path}, line {number}, is not JSON: {error.msg} at column {error.colno}; "
                    f"{remedy}"
                )
            )
        except ValueError as error:
            faults.append(
                DataError(f"{path}, line {number}, can't be read: {error}; leave the line out")
            )
    if faults:
        total = len(rows) + len(faults)
        notes = (*notes, note_on_bad_rows(name, len(faults), total, faults[0]))
    table = table_of(rows, path=path, name=name, unit="line")
    return replace(table, notes=(*notes, *table.notes))


def _whole(text: str, name: str) -> tuple[str, tuple[str, ...]]:
    r"""Returns JSON with the halves of surrogate pairs replaced, and a note on how many these were.

    ``"\ud83d"`` is half an emoji: JSON may hold it, UTF-8 can't, and so no tokenizer takes it.
    """
    halves = sum(match[1] is not None for match in _ESCAPES.finditer(text))
    if not halves:
        return text, ()
    whole = _ESCAPES.sub(lambda match: match[0] if match[1] is None else "\\ufffd", text)
    return whole, (f"{halves:,} halves of emoji in {name} were replaced by U+FFFD",)


def _kind(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
