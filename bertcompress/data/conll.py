"""Reads CoNLL columns: a word a line, blank lines between sentences, the tag in the last column.

The file's ending says nothing (``eng.testa``, ``train.txt``, ``dev.conll``, ``train.tsv``), so the
content decides. Columns are split at tabs if the line has one, else at spaces.
"""

from __future__ import annotations

import re
from pathlib import Path

from bertcompress.data.table import Reading
from bertcompress.data.tag_scheme import sentences_to_iob2
from bertcompress.data.text_file import lines_of, read_text
from bertcompress.errors import DataError
from bertcompress.examples import TokenExample

_DOCUMENT = "-DOCSTART-"
_TAG = re.compile(r"O|[BILESUMW]-\S+")
_COMMENT = re.compile(r"# ?id\b|#\s*\S+\s*=")
_WORD_HEADERS = ("word", "words", "token", "tokens")
_TAG_HEADERS = ("tag", "tags", "label", "labels", "ner", "ner_tag", "ner_tags")
_SNIFFED_BYTES = 65_536

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


def read_conll(path: Path, *, name: str) -> Reading:
    """Returns a sentence an example, its tags in IOB2 where they were IOB1.

    Raises:
        DataError: A line has no tag or another number of columns than the first, or there is no
            sentence.
    """
    sentences = _sentences(lines_of(read_text(path)))
    if not sentences:
        raise DataError(f"{path} holds no sentence; type the path of a file with words and tags")
    notes: tuple[str, ...] = ()
    if _is_header(sentences[0][0][1]):
        notes = (f"the first line of {name} was taken for a header and passed over",)
        sentences = [kept for kept in (sentences[0][1:], *sentences[1:]) if kept]
    _check_columns(path, sentences)
    tags, scheme_notes = sentences_to_iob2(
        [tuple(columns[-1] for _, columns in sentence) for sentence in sentences]
    )
    examples = [
        TokenExample(f"{name}:{sentence[0][0]}", tuple(columns[0] for _, columns in sentence), gold)
        for sentence, gold in zip(sentences, tags, strict=True)
    ]
    return Reading(tuple(examples), (*notes, *scheme_notes))


def _is_header(columns: list[str]) -> bool:
    return columns[0].lower() in _WORD_HEADERS and columns[-1].lower() in _TAG_HEADERS


def _sentences(lines: list[str]) -> list[_Sentence]:
    sentences: list[_Sentence] = []
    current: _Sentence = []
    for number, line in enumerate([*lines, ""], start=1):
        blank = not line.strip() or line.startswith(_DOCUMENT)
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
        return [column.strip() for column in line.split("\t")]
    return re.split(r" +", line.strip(" "))


def _check_columns(path: Path, sentences: list[_Sentence]) -> None:
    if not sentences:
        raise DataError(f"{path} holds a header and no words; type the path of a file with words")
    width = len(sentences[0][0][1])
    for sentence in sentences:
        for number, columns in sentence:
            if " " in columns[0]:
                raise DataError(
                    f"{path}, line {number}, has a text where CoNLL data has a word: "
                    f"{columns[0][:40]!r}…; type the path of a file with a word a line, or the "
                    "name of a model that classifies texts"
                )
            if len(columns) == width > 1 and columns[0] and columns[-1]:
                continue
            raise DataError(
                f"{path}, line {number}, has {len(columns)} columns "
                f"({' '.join(columns)[:60]!r}) where CoNLL data needs a word first and a tag last, "
                f"and the first line has {width}; repair the line"
            )
