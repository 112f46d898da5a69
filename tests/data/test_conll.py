"""CoNLL columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertcompress.data.conll import looks_like_conll, read_conll
from bertcompress.errors import DataError
from bertcompress.examples import TokenExample


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_sentences_documents_and_columns(tmp_path: Path) -> None:
    text = "-DOCSTART- -X- O O\n\nAnna NNP I-NP I-PER\nsat VB I-VP O\n\n\nBerlin NNP I-NP I-LOC"

    reading = read_conll(write(tmp_path, "eng.testb", text), name="eng.testb")

    assert reading.examples == (
        TokenExample("eng.testb:3", ("Anna", "sat"), ("B-PER", "O")),
        TokenExample("eng.testb:7", ("Berlin",), ("B-LOC",)),
    )
    assert len(reading.notes) == 1


def test_tabs_comments_and_strange_spaces(tmp_path: Path) -> None:
    text = "# id 7\na\xa0b\tO\r\n#\tO\r\n\r\n"

    reading = read_conll(write(tmp_path, "t.tsv", text), name="t.tsv")

    assert reading.examples == (TokenExample("t.tsv:2", ("a\xa0b", "#"), ("O", "O")),)


def test_a_header_is_passed_over_and_noted(tmp_path: Path) -> None:
    path = write(tmp_path, "t.tsv", "Token\tTag\nAnna\tB-PER\n")

    reading = read_conll(path, name="t.tsv")

    assert reading.examples == (TokenExample("t.tsv:2", ("Anna",), ("B-PER",)),)
    assert reading.notes == ("the first line of t.tsv was taken for a header and passed over",)


@pytest.mark.parametrize("text", ["text\tlabel\na\tx\n", "", "a\0b\n", "no tag\n"])
def test_other_content_does_not_look_like_it(tmp_path: Path, text: str) -> None:
    assert not looks_like_conll(write(tmp_path, "t", text))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Anna B-PER\nsat\n", r"line 2, has 1 columns \('sat'\) .*the first line has 2"),
        ("Anna\nsat\n", "line 1, has 1 columns"),
        ("a b O\nc O\n", "line 2, has 2 columns .*the first line has 3; repair"),
        ("\tO\n", "line 1, has 2 columns"),
        ("text\tlabel\na whole text\tx\n", "line 2, has a text where CoNLL data has a word"),
        ("token\tlabel\n", "holds a header and no words"),
        ("-DOCSTART- O\n\n", "holds no sentence"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_conll(write(tmp_path, "t", text), name="t")
