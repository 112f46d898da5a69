"""Reads plain text, a text a line, from a file or from what is piped in: texts without labels."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bertcompress.data.json_file import table_of_lines
from bertcompress.data.table import Record, RecordTable
from bertcompress.data.text_file import lines_of, read_text
from bertcompress.errors import DataError

STDIN = "-"
"""What is typed for texts that are piped in."""


def read_lines(path: Path, *, name: str) -> RecordTable:
    """Returns each line that is not blank as a text; its column is called ``text``."""
    return _table(read_text(path), name)


def read_stdin() -> RecordTable:
    """Returns what is piped in: JSON objects, one a line, or else a text a line.

    Raises:
        DataError: Nothing is piped in.
    """
    text = _piped()
    if not text.strip():
        raise DataError("- reads what is piped in, and nothing was; type the path of a file")
    if text.lstrip().startswith("{"):
        return table_of_lines(text, path=Path("stdin"), name="stdin")
    return _table(text, "stdin")


def text_and_labels(files: Sequence[Path]) -> tuple[Path, Path] | None:
    """Returns the two files of a split that has its texts and its labels apart, as TweetEval has.

    Their names are the same but for ``text`` and ``labels``.
    """
    by_word = {
        re.split(r"[^a-z]+", file.stem.lower())[-1].removesuffix("s"): file for file in files
    }
    if len(files) != 2 or by_word.keys() != {"text", "label"}:
        return None
    return by_word["text"], by_word["label"]


def read_paired_lines(texts: Path, labels: Path) -> RecordTable:
    """Returns the lines of one file as texts, those of another as their labels.

    Raises:
        DataError: They have not as many lines.
    """
    pair = [read_text(path).removesuffix("\n") for path in (texts, labels)]
    text_lines, label_lines = map(lines_of, pair)
    if len(text_lines) != len(label_lines):
        raise DataError(
            f"{texts} has {len(text_lines):,} lines and {labels} {len(label_lines):,}; each text "
            "needs one label: repair the files"
        )
    records = tuple(
        Record(f"{texts.name}:{number}", {"text": text, "label": label.strip()})
        for number, (text, label) in enumerate(zip(text_lines, label_lines, strict=True), start=1)
    )
    note = f"the labels of {texts.name} are the lines of {labels.name}"
    return RecordTable(texts.name, ("text", "label"), records, (note,))


def looks_like_table(path: Path) -> bool:
    """Says whether each line has as many tabs as the first, and that has one at least."""
    counts = {line.count("\t") for line in lines_of(read_text(path)) if line.strip()}
    return len(counts) == 1 and counts != {0}


@functools.cache
def _piped() -> str:
    # Once: a run asks for its training and its validation part.
    return sys.stdin.buffer.read().decode("utf-8-sig", "replace")


def _table(text: str, name: str) -> RecordTable:
    rows = [(number, line) for number, line in enumerate(lines_of(text), start=1) if line.strip()]
    records = tuple(Record(f"{name}:{number}", {"text": line}) for number, line in rows)
    note = f"{name} was read as a text a line, without labels"
    return RecordTable(name, ("text",), records, (note,))
