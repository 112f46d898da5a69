"""JSONL and JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.data.json_file import read_json, read_jsonl
from bertcompress.data.table import RecordTable
from bertcompress.errors import DataError


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_jsonl_keeps_line_numbers_and_all_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "t.jsonl", '{"text": "a"}\n\n{"text": "b\u2028c", "label": 1}\n')

    table = read_jsonl(path, name="t.jsonl")

    assert table.columns == ("text", "label")
    assert [record.place for record in table.records] == ["t.jsonl:1", "t.jsonl:3"]
    assert table.records[1].values["text"] == "b\u2028c"


@pytest.mark.parametrize("text", ['[{"text": "a"}]', '{"data": [{"text": "a"}]}'])
def test_json_records_are_found(tmp_path: Path, text: str) -> None:
    table = read_json(write(tmp_path, "t.json", text), name="t.json")

    assert isinstance(table, RecordTable)
    assert [record.values for record in table.records] == [{"text": "a"}]


def test_jsonl_under_a_json_name_is_read_and_noted(tmp_path: Path) -> None:
    table = read_json(write(tmp_path, "t.json", '{"text": "a"}\n{"text": "b"}\n'), name="t.json")

    assert isinstance(table, RecordTable)
    assert len(table.records) == 2
    assert table.notes == ("t.json was read as JSONL: it holds one object a line",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"text": "a"}\n{"text": \n', "line 2, is not JSON: .*write one JSON object a line"),
        ('[\n{"text": "a"}]\n', "line 1, is not JSON.*rename it to end in .json"),
        ('["a"]\n', "line 1, is a JSON array, not an object; write each example as"),
        ("3\n", "line 1, is a JSON number, not an object"),
    ],
)
def test_bad_jsonl_names_the_line(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_jsonl(write(tmp_path, "t.jsonl", text), name="t.jsonl")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{]", "is not JSON: .* in line 1, column 2; repair it"),
        ('{"text": "a"}', "holds one JSON object, not a list of records or SQuAD data"),
        ("[]", "holds no records"),
        ('["a"]', "record 1, is a JSON string, not an object"),
    ],
)
def test_bad_json_says_what_was_found(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_json(write(tmp_path, "t.json", text), name="t.json")


def test_a_broken_line_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"text": "a"}\n{"text":\n{"text": "b"}\n', encoding="utf-8")

    table = read_jsonl(path, name="t.jsonl")

    assert [record.values["text"] for record in table.records] == ["a", "b"]
    assert table.notes[0].startswith("1 of 3 rows of t.jsonl were skipped; the first: ")
    assert "line 2, is not JSON" in table.notes[0]
