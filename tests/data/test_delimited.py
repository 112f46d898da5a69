"""CSV and TSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.data.delimited import read_csv, read_tsv
from bertcompress.errors import DataError


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_csv_rows_carry_the_line_they_start_at(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", 'text,label\r\n"a, b\nc",x\r\n\r\n"say ""hi""",y\r\n')

    table = read_csv(path, name="t.csv")

    assert table.columns == ("text", "label")
    assert [record.place for record in table.records] == ["t.csv:2", "t.csv:5"]
    assert [record.values["text"] for record in table.records] == ["a, b\nc", 'say "hi"']


def test_a_stray_quote_in_tsv_merges_no_rows(tmp_path: Path) -> None:
    path = write(tmp_path, "t.tsv", 'text\tlabel\n"never closed\tx\nnext\ty\n')

    table = read_tsv(path, name="t.tsv")

    assert [record.values["text"] for record in table.records] == ['"never closed', "next"]
    assert table.notes == ()


def test_quoted_tsv_fields_are_noted(tmp_path: Path) -> None:
    path = write(tmp_path, "t.tsv", 'text\tlabel\n"he said"\tx\nnext\ty\n')

    assert read_tsv(path, name="t.tsv").notes[0].startswith("1 rows of t.tsv hold a field")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("text,label\n", r"a header \(text, label\) and no rows; type the path"),
        ("text,label\na,x\nb\nc\n", r"line 3, has 1 fields where the header has 2 .*1 more lines"),
        ("text,label\na,b,x\n", "line 2, has 3 fields.*put a field that holds a comma in quotes"),
        ("text|label\na|x\n", "has one column as CSV, 'text.label'.*'.'; save it with commas"),
        ("text,text\na,x\n", "two columns named 'text'.*its own name"),
        (
            'text,label\n"a,x\nb,y\n',
            "unexpected end of data in the row that starts at line 2.*quote",
        ),
        ('text,label\n"a" b,x\n', "starts at line 2; usually a quote there is never closed"),
    ],
)
def test_a_bad_csv_says_what_to_do(tmp_path: Path, text: str, sentence: str) -> None:
    path = write(tmp_path, "t.csv", text)

    with pytest.raises(DataError, match=f"(?s){sentence}"):
        read_csv(path, name="t.csv")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("text\tlabel\na\tb\tx\n", "line 2, has 3 fields.*remove tabs"),
        ("text,label\na,x\n", "has one column as TSV, 'text,label'.*rename it to end in .csv"),
    ],
)
def test_a_bad_tsv_says_what_to_do(tmp_path: Path, text: str, sentence: str) -> None:
    path = write(tmp_path, "t.tsv", text)

    with pytest.raises(DataError, match=sentence):
        read_tsv(path, name="t.tsv")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('text;label\n"a; b";x\nc, d;y\n', "the columns of t.csv are separated by semicolons"),
        ('text\tlabel\n"a; b"\tx\nc, d\ty\n', "the columns of t.csv are separated by tabs"),
    ],
)
def test_other_marks_between_columns_are_read_and_told(
    tmp_path: Path, text: str, note: str
) -> None:
    (tmp_path / "t.csv").write_text(text)

    table = read_csv(tmp_path / "t.csv", name="t.csv")

    assert [dict(row.values) for row in table.records] == [
        {"text": "a; b", "label": "x"},
        {"text": "c, d", "label": "y"},
    ]
    assert table.notes == (note,)


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("3,Oil,Dear\n1,Sea,Wet\n")

    table = read_csv(tmp_path / "t.csv", name="t.csv", header=False)

    assert (table.columns, len(table.records)) == (("1", "2", "3"), 2)
    assert table.records[0].values == {"1": "3", "2": "Oil", "3": "Dear"}


def test_empty_rows_and_columns_are_skipped_and_a_long_field_is_read(tmp_path: Path) -> None:
    long = "w " * 600_000
    (tmp_path / "t.csv").write_text(f"text,label,,\n{long},x,,\n,,,\nb,y,,\n")

    table = read_csv(tmp_path / "t.csv", name="t.csv")

    assert table.columns == ("text", "label")
    assert [row.place for row in table.records] == ["t.csv:2", "t.csv:4"]
    assert table.records[0].values["text"] == long
    assert table.notes == ("1 empty rows of t.csv were skipped",)


def test_a_row_of_another_width_is_skipped_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", "text,label\na,x\nb,c,y\nd,y\n")

    table = read_csv(path, name="t.csv")

    assert [record.values["text"] for record in table.records] == ["a", "d"]
    assert table.notes[0].startswith("1 of 3 rows of t.csv were skipped; the first: ")
    assert "line 3, has 3 fields" in table.notes[0]
