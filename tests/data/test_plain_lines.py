"""A text a line, from a file or piped in."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bertcompress.data import load_dataset, plain_lines
from bertcompress.data.plain_lines import looks_like_table, read_paired_lines, text_and_labels
from bertcompress.errors import DataError
from bertcompress.examples import TextExample

TASK = "text-classification"


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.BytesIO]:
    """Gives what is piped in, to be written to."""
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    plain_lines._piped.cache_clear()
    yield content
    plain_lines._piped.cache_clear()


def texts(source: str | Path) -> list[str]:
    found = load_dataset(source, task=TASK, require_labels=False)
    return [row.text for row in found if isinstance(row, TextExample)]


def test_each_line_of_a_text_file_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one film\n\nand, another\n")

    assert texts(tmp_path / "a.txt") == ["one film", "and, another"]
    with pytest.raises(DataError, match="no column with a usual name for a label"):
        load_dataset(tmp_path / "a.txt", task=TASK)


@pytest.mark.parametrize(
    "content", [b"one film\nand another\n", b'{"text": "one film"}\n{"text": "and another"}\n']
)
def test_what_is_piped_in_is_read_once(piped: io.BytesIO, content: bytes) -> None:
    piped.write(content)
    piped.seek(0)

    assert texts("-") == texts("-") == ["one film", "and another"]


def test_nothing_piped_in_is_said(piped: io.BytesIO) -> None:
    with pytest.raises(DataError, match="- reads what is piped in, and nothing was"):
        texts("-")


def test_a_text_file_of_columns_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("label\ttext\nx\ta film\n")
    (tmp_path / "b.txt").write_text("a\tb\nc\n")

    assert looks_like_table(tmp_path / "a.txt")
    assert not looks_like_table(tmp_path / "b.txt")


def test_texts_and_labels_in_two_files_are_paired_by_line(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("val_labels.txt", "val_text.txt")]
    files[0].write_text("1\n0\n")
    files[1].write_text("good\n\nbad\n")

    assert text_and_labels(files) == (files[1], files[0])
    assert text_and_labels(files[:1]) is None
    with pytest.raises(DataError, match=r"3 lines and .* 2; each text needs one label"):
        read_paired_lines(files[1], files[0])
