"""What the readers hand on: rows with named columns, or examples that are complete already.

A file of columns (CSV, JSONL, Parquet, hub) becomes a `RecordTable`, whose columns still have to be
chosen. A file whose format fixes the meaning (CoNLL, SQuAD, a folder per class) becomes a
`Reading` at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bertcompress.errors import DataError, UsageError, did_you_mean
from bertcompress.examples import Example

LabelKind = Literal["auto", "class", "multi", "number"]

LABEL_KINDS: tuple[LabelKind, ...] = ("auto", "class", "multi", "number")
TEXT_TASKS = ("text-classification", "feature-extraction")
TOKEN_TASK = "token-classification"
QUESTION_TASK = "question-answering"
DATA_TASKS = (*TEXT_TASKS, TOKEN_TASK, QUESTION_TASK)


@dataclass(frozen=True)
class Columns:
    """The columns to read; each one left out is guessed from the usual names.

    Attributes:
        text: The text, or for token classification the list of words.
        text_pair: The second text of a pair.
        label: The label, or for token classification the list of tags.
        question: The question (question answering), as `context` and `answers` are.
        context: The text that holds the answer.
        answers: The accepted answers with their places.
        label_separator: What separates several labels in one string (``|`` or ``;``); without it
            a string is one label.
    """

    text: str | None = None
    text_pair: str | None = None
    label: str | None = None
    question: str | None = None
    context: str | None = None
    answers: str | None = None
    label_separator: str | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """The options by which columns are named, as they were typed."""
        options = {
            "--text": self.text,
            "--text-pair": self.text_pair,
            "--label": self.label,
            "--question": self.question,
            "--context": self.context,
            "--answers": self.answers,
            "--label-separator": self.label_separator,
        }
        return tuple(option for option, value in options.items() if value is not None)

    def __post_init__(self) -> None:
        if self.label_separator == "":
            raise UsageError("label_separator must be at least one character, got ''; type | or ;")


def refuse_columns(name: str, form: str, columns: Columns, *, but: Sequence[str] = ()) -> None:
    """Fails where a column is named for data whose form fixes what stands where.

    Args:
        name: The file's name.
        form: What the form is called.
        columns: What was typed.
        but: Options that the form has a use for.

    Raises:
        DataError: Another option was typed.
    """
    unused = [option for option in columns.named if option not in but]
    if unused:
        raise DataError(
            f"{unused[0]} was typed, but {name} is {form}, which fixes what stands where; leave "
            f"{unused[0]} out"
        )


def note_on_bad_rows(
    name: str, bad: int, total: int, fault: DataError, *, rows: str = "rows"
) -> str:
    """Returns the note on rows that can't be read, which are skipped where most others can.

    Args:
        name: The file's name.
        bad: How many rows are bad, at least one.
        total: How many rows there are, with these.
        fault: What is wrong with the first of them.
        rows: What they are called.

    Raises:
        DataError: `fault`, where half of the rows or more are bad: then the file is not what it
            was read as.
    """
    if 2 * bad >= total:
        raise fault
    return f"{bad:,} of {total:,} {rows} of {name} were skipped; the first: {fault}"


@dataclass(frozen=True)
class ReadSettings:
    """How rows become examples: the task, the columns, what the labels are, and the header."""

    task: str
    columns: Columns = Columns()
    label_kind: LabelKind = "auto"
    require_labels: bool = True
    header: bool = True

    def __post_init__(self) -> None:
        if self.task not in DATA_TASKS:
            raise UsageError(
                f"task must be one of {', '.join(DATA_TASKS)}, got {self.task!r}"
                f"{did_you_mean(self.task, DATA_TASKS)}"
            )
        if self.label_kind not in LABEL_KINDS:
            raise UsageError(
                f"label_kind must be one of {', '.join(LABEL_KINDS)}, got {self.label_kind!r}"
                f"{did_you_mean(self.label_kind, LABEL_KINDS)}"
            )


@dataclass(frozen=True)
class Record:
    """One row: where it is (``"train.csv:17"``) and its values by column."""

    place: str
    values: Mapping[str, object]


@dataclass(frozen=True)
class RecordTable:
    """Rows with named columns, as read.

    Attributes:
        name: The file's or split's name, for messages.
        columns: All columns found, in their order.
        records: At least one.
        notes: What was noticed while reading.
    """

    name: str
    columns: tuple[str, ...]
    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """Examples with the notes that were taken while reading them."""

    examples: tuple[Example, ...]
    notes: tuple[str, ...] = ()
