"""Turns the rows of a table into the examples of a task."""

from __future__ import annotations

from dataclasses import replace

from bertcompress.data.guess_columns import question_columns, text_columns, token_columns
from bertcompress.data.labels import Label, class_name, parse_labels
from bertcompress.data.squad import answers_of, misplaced_answers
from bertcompress.data.table import (
    QUESTION_TASK,
    TEXT_TASKS,
    TOKEN_TASK,
    Reading,
    ReadSettings,
    Record,
    RecordTable,
)
from bertcompress.data.tag_scheme import sentences_to_iob2
from bertcompress.errors import DataError, UsageError
from bertcompress.examples import Example, QuestionExample, TextExample, TokenExample

_TASKS_BY_TYPE: dict[type, tuple[str, ...]] = {
    TextExample: TEXT_TASKS,
    TokenExample: (TOKEN_TASK,),
    QuestionExample: (QUESTION_TASK,),
}
_TEXT_OPTIONS = ("--text", "--text-pair", "--label", "--label-separator")
_OPTIONS_OF = {
    TOKEN_TASK: ("--text", "--label"),
    QUESTION_TASK: ("--question", "--context", "--answers"),
}
"""The options that name columns, by task; those of text tasks are others."""
_WORDS_BY_TYPE: dict[type, str] = {
    TextExample: "texts with labels",
    TokenExample: "words with tags (CoNLL)",
    QuestionExample: "questions on contexts (SQuAD)",
}


def build_examples(table: RecordTable, settings: ReadSettings) -> Reading:
    """Returns an example a row, in order, with notes on each guess.

    Raises:
        DataError: A column can't be found, or a value is not what the task needs.
    """
    _refuse_other_columns(settings)
    if settings.task == TOKEN_TASK:
        reading = _token_examples(table, settings)
    elif settings.task == QUESTION_TASK:
        reading = _question_examples(table, settings)
    else:
        reading = _text_examples(table, settings)
    return Reading(reading.examples, (*table.notes, *reading.notes))


def _refuse_other_columns(settings: ReadSettings) -> None:
    """Fails where a column is named that examples of the task do not have."""
    used = _OPTIONS_OF.get(settings.task, _TEXT_OPTIONS)
    unused = [option for option in settings.columns.named if option not in used]
    if unused:
        raise UsageError(
            f"{unused[0]} was typed, and examples for {settings.task} have no such column, only "
            f"{', '.join(used)}; leave {unused[0]} out"
        )


def check_fits(example: Example, name: str, settings: ReadSettings) -> None:
    """Fails where a file of fixed form (CoNLL, SQuAD, class folders) is of another task."""
    tasks = _TASKS_BY_TYPE[type(example)]
    if settings.task not in tasks:
        raise DataError(
            f"{name} holds {_WORDS_BY_TYPE[type(example)]}, which is data for {tasks[0]}, but the "
            f"task is {settings.task}; type the path of other data or the name of another model"
        )


def _text_examples(table: RecordTable, settings: ReadSettings) -> Reading:
    chosen = text_columns(table, settings)
    records, skipped = _with(table, chosen.text, chosen.text_pair, what="text")
    places = [record.place for record in records]
    labels: list[Label] = [None] * len(places)
    if chosen.label is not None:
        values = [record.values.get(chosen.label) for record in records]
        # Which rows have none is looked at when their split is known, see `only_labelled`.
        try:
            labels = parse_labels(values, places, replace(settings, require_labels=False))
        except DataError as error:
            if settings.require_labels:
                raise
            skipped = (*skipped, f"labels were passed over, which nothing here needs: {error}")
        if settings.require_labels and all(label is None for label in labels):
            raise DataError(_no_label(places[0]))
    examples = tuple(
        TextExample(
            id=record.place,
            text=_text(record, chosen.text),
            text_pair=None if chosen.text_pair is None else _text(record, chosen.text_pair),
            label=label,
        )
        for record, label in zip(records, labels, strict=True)
    )
    return Reading(examples, (*chosen.notes, *skipped))


def only_labelled(
    examples: tuple[Example, ...], settings: ReadSettings
) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Leaves out texts without a label where labels are required, with a note on how many.

    Raises:
        DataError: None has a label.
    """
    bare = [row for row in examples if isinstance(row, TextExample) and row.label is None]
    bare = bare if settings.require_labels and settings.task == "text-classification" else []
    if not bare:
        return examples, ()
    if len(bare) == len(examples):
        raise DataError(_no_label(bare[0].id))
    note = f"{_rows(len(bare))} without a label were skipped, the first at {bare[0].id}"
    skipped = {row.id for row in bare}
    return tuple(row for row in examples if row.id not in skipped), (note,)


def _no_label(place: str) -> str:
    return (
        f"{place} has no label; remove the row, or choose a labelled split with --split "
        "(test splits on the hub often have no labels)"
    )


def _with(
    table: RecordTable, *columns: str | None, what: str
) -> tuple[list[Record], tuple[str, ...]]:
    """Returns the records that have a value in all columns, and a note on those skipped.

    Raises:
        DataError: None has.
    """
    needed = [column for column in columns if column is not None]
    kept: list[Record] = []
    empty: list[Record] = []
    for record in table.records:
        lacks = any(record.values.get(column) in (None, [], ()) for column in needed)
        (empty if lacks else kept).append(record)
    if not empty or not kept:
        return list(table.records), ()
    note = f"{_rows(len(empty))} without a {what} were skipped, the first at {empty[0].place}"
    return kept, (note,)


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _token_examples(table: RecordTable, settings: ReadSettings) -> Reading:
    chosen = token_columns(table, settings)
    records, skipped = _with(table, chosen.text, what="word")
    words = [_strings(record, chosen.text, "--text") for record in records]
    if chosen.label is None:
        bare = zip(records, words, strict=True)
        examples = tuple(TokenExample(row.place, own) for row, own in bare)
        return Reading(examples, (*chosen.notes, *skipped))
    tags = [_strings(record, chosen.label, "--label") for record in records]
    for record, own, gold in zip(records, words, tags, strict=True):
        if len(own) != len(gold):
            raise DataError(
                f"{record.place} has {len(own)} words in {chosen.text!r} and {len(gold)} tags in "
                f"{chosen.label!r}; each word needs one tag: repair the row"
            )
    gold_tags, notes = sentences_to_iob2(tags)
    examples = tuple(
        TokenExample(record.place, own, gold)
        for record, own, gold in zip(records, words, gold_tags, strict=True)
    )
    return Reading(examples, (*chosen.notes, *skipped, *notes))


def _question_examples(table: RecordTable, settings: ReadSettings) -> Reading:
    question, context, answers = question_columns(
        table, settings.columns, require_answers=settings.require_labels
    )
    records, skipped = _with(table, question, context, what="question or context")
    examples = [
        QuestionExample(
            id=record.place,
            question=_text(record, question),
            context=_text(record, context),
            answers=()
            if answers is None
            else answers_of(record.values.get(answers), place=record.place),
        )
        for record in records
    ]
    return Reading(tuple(examples), (*skipped, *misplaced_answers(examples)))


def _text(record: Record, column: str) -> str:
    value = record.values.get(column)
    if isinstance(value, str):
        return value
    found = "nothing" if value is None else repr(value)[:60]
    raise DataError(
        f"{record.place}: column {column!r} holds {found} where a text was asked; "
        "repair the row, or type --text NAME"
    )


def _strings(record: Record, column: str, option: str) -> tuple[str, ...]:
    value = record.values.get(column)
    if isinstance(value, list | tuple) and value:
        return tuple(class_name(item, record.place) for item in value)
    found = "nothing" if value is None else repr(value)[:60]
    raise DataError(
        f"{record.place}: column {column!r} holds {found} where a list with a value for each word "
        f"was asked; use JSONL, Parquet or CoNLL columns, or type {option} NAME"
    )
