"""A column a label."""

from __future__ import annotations

import pytest

from bertcompress.data.build_examples import build_examples
from bertcompress.data.label_columns import with_joined_labels
from bertcompress.data.table import Columns, LabelKind, ReadSettings, Record, RecordTable
from bertcompress.errors import DataError
from bertcompress.examples import TextExample

ROWS = [("you fool", "1", "1"), ("thank you", "0", "0"), ("you", "0", "1")]


def table(rows: list[tuple[object, ...]] | None = None) -> RecordTable:
    columns = ("text", "toxic", "insult")
    given = ROWS if rows is None else rows
    records = tuple(
        Record(f"t:{at}", dict(zip(columns, row, strict=True))) for at, row in enumerate(given, 1)
    )
    return RecordTable("t", columns, records)


def settings(label: str | None = None, kind: LabelKind = "auto") -> ReadSettings:
    return ReadSettings("text-classification", Columns(label=label), kind)


def labels(asked: ReadSettings, rows: list[tuple[object, ...]] | None = None) -> list[object]:
    examples = build_examples(table(rows), asked).examples
    return [example.label for example in examples if isinstance(example, TextExample)]


@pytest.mark.parametrize("kind", ["auto", "multi"])
def test_columns_that_are_named(kind: LabelKind) -> None:
    found = labels(settings("toxic, insult", kind))

    assert found == [("toxic", "insult"), (), ("insult",)]


def test_a_model_of_several_labels_finds_them() -> None:
    reading = build_examples(table(), settings(kind="multi"))

    assert labels(settings(kind="multi")) == [("toxic", "insult"), (), ("insult",)]
    assert "columns of zeros and ones (--label): toxic, insult" in " ".join(reading.notes)


def test_a_single_one_in_each_row_is_a_class() -> None:
    rows: list[tuple[object, ...]] = [("a", 1, 0), ("b", 0.0, 1.0), ("c", True, False)]

    assert labels(settings("toxic,insult"), rows) == ["toxic", "insult", "toxic"]
    assert labels(settings("toxic,insult", "multi"), rows)[0] == ("toxic",)


@pytest.mark.parametrize(
    ("asked", "rows", "sentence"),
    [
        (settings(), None, "if each of these is a label, type --label toxic,insult$"),
        (settings("toxic,inslt"), None, "no column 'inslt', only .*did you mean 'insult'"),
        (settings("toxic,insult"), [("a", 1, 7)], "t:1: column 'insult' holds 7 where a 0 or 1"),
        (settings("toxic,insult"), [("a", None, "")], "t:1 has no label"),
        (settings("toxic,insult", "class"), None, "where one class was asked"),
    ],
)
def test_what_is_not_clear_is_refused(
    asked: ReadSettings, rows: list[tuple[object, ...]] | None, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        labels(asked, rows)


def test_other_tables_stay() -> None:
    with_label = RecordTable("t", ("text", "label"), (Record("t:1", {"text": "a", "label": "x"}),))

    assert with_joined_labels(with_label, settings()) == (with_label, settings())
    other = ReadSettings("feature-extraction")
    assert with_joined_labels(table(), other) == (table(), other)
