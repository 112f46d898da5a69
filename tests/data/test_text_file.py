"""Text files and what only seems to be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.data.text_file import lines_of, read_text
from bertcompress.errors import DataError


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"is empty \(0 bytes\); type the path"),
        (b"\n \n", r"is empty \(3 bytes\)"),
        (b"PK\x03\x04rest", "an Excel workbook or a ZIP archive.*export it as CSV"),
        (b"\x1f\x8brest", "compressed with gzip.*gunzip"),
        (b"PAR1rest", "a Parquet file.*rename it to end in .parquet"),
        ("text,label".encode("utf-16"), "UTF-16 text.*iconv -f utf-16"),
        (b"text\0label", "is binary .*zero byte at 4"),
        (b"text,label\ncaf\xe9,x\n", "is not UTF-8: byte 0xe9 in line 2; convert it.*iconv"),
    ],
)
def test_what_is_not_text_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(content)

    with pytest.raises(DataError, match=sentence):
        read_text(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read: No such file"):
        read_text(tmp_path / "train.csv")


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes("text,label\n".encode("utf-8-sig"))

    assert read_text(path) == "text,label\n"


def test_lines_end_at_line_feeds_only() -> None:
    assert lines_of("a\u2028b\r\nc\x85d\n") == ["a\u2028b", "c\x85d", ""]
