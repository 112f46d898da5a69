"""Several columns of zeros and ones, one a label, become one column of label names.

text         toxic  insult            text         toxic,insult
you fool     1      1          ->     you fool     toxic and insult
thank you    0      0                 thank you    none
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bertcompress.data.guess_columns import text_columns
from bertcompress.data.table import ReadSettings, Record, RecordTable
from bertcompress.errors import DataError, did_you_mean

_FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_TASK = "text-classification"


def with_joined_labels(
    table: RecordTable, settings: ReadSettings
) -> tuple[RecordTable, ReadSettings]:
    """Returns the table with the label columns as one, and the settings that name it.

    Columns are joined where the user named several (``toxic,insult``), or where the model takes
    several labels, no column has a usual name for them, and two or more hold zeros and ones only.

    Raises:
        DataError: A named column is not there or holds something else; or such columns are there
            and nothing says that they are labels.
    """
    if settings.task != _TASK:
        return table, settings
    asked = settings.columns.label
    if asked is not None:
        names = [name.strip() for name in asked.split(",")]
        if asked in table.columns or len(names) < 2:
            return table, settings
        return _joined(table, settings, names, note="")
    chosen = text_columns(table, replace(settings, require_labels=False))
    if chosen.label is not None:
        return table, settings
    names = [
        name
        for name in table.columns
        if name not in (chosen.text, chosen.text_pair)
        and all(_flag(record.values.get(name)) is not None for record in table.records)
    ]
    if len(names) < 2 or not (settings.label_kind == "multi" or settings.require_labels):
        return table, settings
    if settings.label_kind == "multi":
        note = f"the labels are the columns of zeros and ones (--label): {', '.join(names)}"
        return _joined(table, settings, names, note=note)
    raise DataError(
        f"{table.name} has no column with a usual name for a label, and zeros and ones only in "
        f"{', '.join(names)}; if each of these is a label, type --label {','.join(names)}"
    )


def _joined(
    table: RecordTable, settings: ReadSettings, names: Sequence[str], *, note: str
) -> tuple[RecordTable, ReadSettings]:
    for name in names:
        if name not in table.columns:
            raise DataError(
                f"--label {','.join(names)}: {table.name} has no column {name!r}, only "
                f"{', '.join(table.columns)}{did_you_mean(name, table.columns)}"
            )
    rows = [_names_in(record, names) for record in table.records]
    single = settings.label_kind != "multi" and all(row is None or len(row) == 1 for row in rows)
    column = ",".join(names)
    records = tuple(
        Record(record.place, {**record.values, column: row[0] if row and single else row})
        for record, row in zip(table.records, rows, strict=True)
    )
    notes = (*table.notes, note) if note else table.notes
    joined = replace(table, columns=(*table.columns, column), records=records, notes=notes)
    return joined, replace(settings, columns=replace(settings.columns, label=column))


def _names_in(record: Record, names: Sequence[str]) -> list[str] | None:
    """Returns the columns that hold a one, None where all are empty: the row has no labels."""
    values = [record.values.get(name) for name in names]
    if all(value is None or value == "" for value in values):
        return None
    flags = [_flag(value) for value in values]
    for name, value, flag in zip(names, values, flags, strict=True):
        if flag is None:
            raise DataError(
                f"{record.place}: column {name!r} holds {value!r} where a 0 or 1 was asked; "
                "of several columns of labels each holds 0 or 1"
            )
    return [name for name, flag in zip(names, flags, strict=True) if flag]


def _flag(value: object) -> bool | None:
    """Returns what a cell says of its label, None where it holds neither a zero nor a one."""
    return _FLAGS.get(str(value).strip().lower())
