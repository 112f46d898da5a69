"""Reads CoNLL columns: a word a line, blank lines between sentences, the tag in the last column.

The file's ending says nothing (``eng.testa``, ``train.txt``, ``dev.conll``, ``train.tsv``), so the
content decides. Columns are split at tabs if the line has one, else at spaces.
"""

from __future__ import annotations

import re
from pathlib import Path

from bertcompress.data.table import Columns, Reading, note_on_bad_rows, refuse_columns
from bertcompress.data.tag_scheme import sentences_to_iob2
from bertcompress.data.text_file import lines_of, read_text
from bertcompress.errors import DataError
from bertcompress.examples import TokenExample

_DOCUMENT = "-DOCSTART-"
_TAG = re.compile(r"O|[BILESUMW]-\S+")
_COMMENT = re.compile(r"# ?id\b|#\s*\S+\s*=|#\s+\S+://")
_WORD_HEADERS = ("word", "words", "token", "tokens")
_TAG_HEADERS = ("tag", "tags", "label", "labels", "ner", "ner_tag", "ner_tags")
_SNIFFED_BYTES = 65_536
_BLANKS = " \t\r\f\v"  # not U+3000 and U+00A0, which are words of Chinese and French texts
_ANY_COLUMNS = Columns()

_Sentence = list[tuple[int, list[str]]]
"""The line number and the columns of each word."""


def looks_like_conll(path: Path) -> bool:
    """Says whether the first lines are words with entity tags, or begin with ``-DOCSTART-``."""
    with path.open("rb") as file:
        start = file.read(_SNIFFED_BYTES)
    if b"\0" in start:
        return False
    text = start.decode("utf-8-sig", errors="ignore")
    lines = [line for line in lines_of(text)[:-1] if line.strip() and not _COMMENT.match(line)]
    if not lines:
        return False
    if lines[0].startswith(_DOCUMENT):
        return True
    rows = [_columns(line) for line in lines]
    return all(len(row) > 1 and _TAG.fullmatch(row[-1]) is not None for row in rows)


def read_conll(path: Path, *, name: str, columns: Columns = _ANY_COLUMNS) -> Reading:
    """Returns a sentence an example, its tags in IOB2 where they were IOB1.

    Args:
        path: The file.
        name: What the examples' ids start with.
        columns: Its `text` and `label` say where words and tags stand, by number from 1 or by a
            name of the header; else words stand first and tags last.

    Raises:
        DataError: In half of the sentences or more a line has no tag or another number of columns
            than the first, or there is no sentence.
    """
    sentences = _sentences(lines_of(read_text(path)))
    if not sentences:
        raise DataError(f"{path} holds no sentence; type the path of a file with words and tags")
    notes: tuple[str, ...] = ()
    refuse_columns(name, "CoNLL data", columns, but=("--text", "--label"))
    first = sentences[0][0][1]
    has_header = _is_header(first) or bool({columns.text, columns.label} & {*first})
    if has_header:
        notes = (f"the first line of {name} was taken for a header and passed over",)
        sentences = [kept for kept in (sentences[0][1:], *sentences[1:]) if kept]
    sentences, faults = _checked(path, sentences)
    if faults:
        count = len(sentences) + len(faults)
        skipped = note_on_bad_rows(name, len(faults), count, faults[0], rows="sentences")
        notes = (*notes, skipped)
    header = first if has_header else []
    word_at = _position(columns.text, "--text", header, len(first), default=0, name=name)
    tag_at = _position(columns.label, "--label", header, len(first), default=-1, name=name)
    if columns.text is None and _is_numbered(sentences):
        raise DataError(
            f"{name} has numbers in its first column and not words: {' '.join(first)[:60]!r}; say "
            "which columns hold the words and the tags, counted from 1: --text N --label N"
        )
    tags, scheme_notes = sentences_to_iob2(
        [tuple(row[tag_at] for _, row in sentence) for sentence in sentences]
    )
    examples = [
        TokenExample(f"{name}:{sentence[0][0]}", tuple(row[word_at] for _, row in sentence), gold)
        for sentence, gold in zip(sentences, tags, strict=True)
    ]
    return Reading(tuple(examples), (*notes, *scheme_notes))


def _position(
    typed: str | None, option: str, header: list[str], width: int, *, default: int, name: str
) -> int:
    """Returns the index of a column that was typed by its number or its name."""
    if typed is None:
        return default
    if typed in header:
        return header.index(typed)
    if typed.isdecimal() and 1 <= int(typed) <= width:
        return int(typed) - 1
    known = f", or by a name: {', '.join(header)}" if header else ""
    raise DataError(
        f"{option} {typed}: {name} is CoNLL data of {width} columns; name one by its number, 1 to "
        f"{width}{known}"
    )


def _is_numbered(sentences: list[_Sentence]) -> bool:
    """Says whether the first column counts the words of each sentence, as CoNLL-U does."""
    return all(
        row[0].isdecimal() and int(row[0]) in (at, at + 1)
        for sentence in sentences
        for at, (_, row) in enumerate(sentence)
    ) and any(len(sentence) > 1 for sentence in sentences)


def _is_header(columns: list[str]) -> bool:
    return columns[0].lower() in _WORD_HEADERS and columns[-1].lower() in _TAG_HEADERS


def _sentences(lines: list[str]) -> list[_Sentence]:
    sentences: list[_Sentence] = []
    current: _Sentence = []
    for number, line in enumerate([*lines, ""], start=1):
        blank = not line.strip(_BLANKS) or line.startswith(_DOCUMENT)
        if blank and current:
            sentences.append(current)
            current = []
        if blank or (not current and _COMMENT.match(line)):
            continue
        current.append((number, _columns(line)))
    return sentences


def _columns(line: str) -> list[str]:
    # Not str.split(): a no-break space is part of a word.
    if "\t" in line:
        return [column.strip(_BLANKS) for column in line.split("\t")]
    return re.split(r" +", line.strip(" "))


def _checked(path: Path, sentences: list[_Sentence]) -> tuple[list[_Sentence], list[DataError]]:
    """Returns the sentences whose lines are words with tags, and what is wrong with each other."""
    if not sentences:
        raise DataError(f"{path} holds a header and no words; type the path of a file with words")
    width = len(sentences[0][0][1])
    whole, faults = [], []
    for sentence in sentences:
        found = (_fault(path, number, columns, width) for number, columns in sentence)
        fault = next(filter(None, found), None)
        if fault is None:
            whole.append(sentence)
        else:
            faults.append(fault)
    return whole, faults


def _fault(path: Path, number: int, columns: list[str], width: int) -> DataError | None:
    if " " in columns[0]:
        return DataError(
            f"{path}, line {number}, has a text where CoNLL data has a word: "
            f"{columns[0][:40]!r}…; type the path of a file with a word a line, or the "
            "name of a model that classifies texts"
        )
    if len(columns) == width > 1 and columns[0] and columns[-1]:
        return None
    return DataError(
        f"{path}, line {number}, has {len(columns)} columns "
        f"({' '.join(columns)[:60]!r}) where CoNLL data needs a word first and a tag last, "
        f"and the first line has {width}; repair the line"
    )
