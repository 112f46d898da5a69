"""Reads JSONL (one object a line) and JSON (a list of objects, or SQuAD)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bertcompress.data.squad import is_squad, read_squad
from bertcompress.data.table import Reading, Record, RecordTable
from bertcompress.data.text_file import lines_of, read_text
from bertcompress.errors import DataError


def read_jsonl(path: Path, *, name: str) -> RecordTable:
    """Reads one JSON object a line; blank lines are passed over."""
    return _from_lines(read_text(path), path=path, name=name)


def read_json(path: Path, *, name: str) -> RecordTable | Reading:
    """Reads SQuAD, a list of records, a list under ``data``, or what is JSONL in truth."""
    text = read_text(path)
    try:
        content: object = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            table = _from_lines(text, path=path, name=name)
            note = f"{name} was read as JSONL: it holds one object a line"
            return RecordTable(table.name, table.columns, table.records, (note,))
        raise DataError(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}; "
            "repair it, or type the path of another file"
        ) from error
    if is_squad(content):
        return read_squad(content, name=name)
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        content = content["data"]
    if not isinstance(content, list):
        raise DataError(
            f"{path} holds one JSON {_kind(content)}, not a list of records or SQuAD data; "
            "write the examples as a list of objects, or one object a line in a .jsonl file"
        )
    rows = [(position, row) for position, row in enumerate(content, start=1)]
    return table_of(rows, path=path, name=name, unit="record")


def table_of(rows: list[tuple[int, object]], *, path: Path, name: str, unit: str) -> RecordTable:
    """Returns the rows as a table; each must be a JSON object.

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
    for position, row in rows:
        if not isinstance(row, Mapping):
            raise DataError(
                f"{path}, {unit} {position}, is a JSON {_kind(row)}, not an object; "
                'write each example as {"text": …, "label": …}'
            )
        columns.update(dict.fromkeys(row))
        records.append(Record(f"{name}:{position}", row))
    return RecordTable(name, tuple(columns), tuple(records))


def _from_lines(text: str, *, path: Path, name: str) -> RecordTable:
    rows: list[tuple[int, object]] = []
    for number, line in enumerate(lines_of(text), start=1):
        if not line.strip():
            continue
        try:
            rows.append((number, json.loads(line)))
        except json.JSONDecodeError as error:
            whole = line.lstrip().startswith("[") or (number == 1 and line.strip() == "{")
            remedy = (
                "rename it to end in .json if it is one JSON document"
                if whole
                else "write one JSON object a line"
            )
            raise DataError(
                f"{path}, line {number}, is not JSON: {error.msg} at column {error.colno}; {remedy}"
            ) from error
    return table_of(rows, path=path, name=name, unit="line")


def _kind(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
