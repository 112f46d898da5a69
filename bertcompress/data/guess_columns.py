"""Finds which columns hold the text, its pair and the label.

A column is found by a usual name, whatever its case. Two plausible columns are an error and not a
guess: a benchmark on the wrong column looks just like one on the right column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertcompress.data.table import Columns, ReadSettings, RecordTable
from bertcompress.errors import DataError, did_you_mean

_TEXT_NAMES = (
    *("text", "sentence", "review", "content", "utterance", "query", "question", "document"),
    *("body", "comment", "tweet", "title", "message", "headline", "description", "abstract"),
    *("review_text", "input_text", "input", "summary", "post", "prompt"),
)
_PAIR_NAMES = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("text", "text_pair"),
    ("question1", "question2"),
    ("question_1", "question_2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("question", "passage"),
    ("query", "passage"),
    ("anchor", "positive"),
)
_LABEL_NAMES = (
    *("label", "labels", "category", "intent", "class", "target", "sentiment", "score"),
    *("similarity", "similarity_score", "topic", "rating", "stars", "gold_label", "emotion"),
)
_WORD_NAMES = ("tokens", "words")
_TAG_NAMES = ("ner_tags", "tags", "ner", "labels", "label")


@dataclass(frozen=True)
class ChosenColumns:
    """The columns by their names in the table, and a note on what was guessed."""

    text: str
    text_pair: str | None = None
    label: str | None = None
    notes: tuple[str, ...] = ()


def text_columns(table: RecordTable, settings: ReadSettings) -> ChosenColumns:
    """Returns the columns of a text task.

    Raises:
        DataError: A column that was asked is not there, or a guess finds none or several.
    """
    wanted = settings.columns
    text, text_pair = _texts(table, wanted)
    label = _label(table, settings, taken=(text, text_pair))
    guesses = [
        _guess(role, found, option)
        for role, found, asked, option in (
            ("text", text, wanted.text, "--text"),
            ("second text", text_pair, wanted.text_pair, "--text-pair"),
            ("label", label, wanted.label, "--label"),
        )
        if found is not None and asked is None
    ]
    notes = [f"guessed from the column names: {'; '.join(guesses)}"] if guesses else []
    if label is None and settings.task == "text-classification":
        notes.append("no label column was found, so the examples are unlabelled")
    return ChosenColumns(text, text_pair, label, tuple(notes))


def token_columns(table: RecordTable, settings: ReadSettings) -> ChosenColumns:
    """Returns the columns of words (`text`) and tags (`label`).

    Raises:
        DataError: As for `text_columns`.
    """
    wanted = settings.columns
    words = _named(table, wanted.text, "--text") or _one_of(
        table, _WORD_NAMES, what="a list of words", option="--text"
    )
    tags = _named(table, wanted.label, "--label") or _optional(table, _TAG_NAMES, option="--label")
    if tags is None and settings.require_labels:
        raise DataError(_nothing(table, "a list of tags", "--label"))
    guesses = [
        _guess(role, found, option)
        for role, found, asked, option in (
            ("words", words, wanted.text, "--text"),
            ("tags", tags, wanted.label, "--label"),
        )
        if found is not None and asked is None
    ]
    notes = (f"guessed from the column names: {'; '.join(guesses)}",) if guesses else ()
    return ChosenColumns(words, None, tags, notes)


def question_columns(
    table: RecordTable, columns: Columns, *, require_answers: bool = True
) -> tuple[str, str, str | None]:
    """Returns the columns of question, context and answers; the last where it is needed or there.

    Raises:
        DataError: One of them is not there.
    """
    bare = columns.answers is None and _find(table, "answers") is None
    return (
        _required(table, columns.question, "question"),
        _required(table, columns.context, "context"),
        None if bare and not require_answers else _required(table, columns.answers, "answers"),
    )


def _texts(table: RecordTable, wanted: Columns) -> tuple[str, str | None]:
    text = _named(table, wanted.text, "--text")
    text_pair = _named(table, wanted.text_pair, "--text-pair")
    if text is not None:
        return text, text_pair
    if text_pair is not None:
        return _one_of(table, _TEXT_NAMES, what="a text", option="--text", but=text_pair), text_pair
    pairs = [
        (first, second)
        for first, second in ((_find(table, one), _find(table, two)) for one, two in _PAIR_NAMES)
        if first is not None and second is not None
    ]
    paired = {name for pair in pairs for name in pair}
    singles = [name for name in _all_found(table, _TEXT_NAMES) if name not in paired]
    if len(pairs) == 1 and not singles:
        return pairs[0]
    if not pairs and len(singles) == 1:
        return singles[0], None
    if not pairs and not singles:
        raise DataError(_nothing(table, "a text", "--text"))
    plausible = [*sorted(paired), *singles]
    raise DataError(
        f"{table.name} has several columns that may hold the text: {', '.join(plausible)} "
        f"(of {', '.join(table.columns)}); type --text NAME, and --text-pair NAME if it is a pair"
    )


def _label(
    table: RecordTable, settings: ReadSettings, *, taken: tuple[str, str | None]
) -> str | None:
    label = _named(table, settings.columns.label, "--label")
    if label is not None:
        return label
    if settings.task == "feature-extraction" and taken[1] is None:
        return None  # A label says nothing about the embedding of one text.
    if not settings.require_labels and len(_all_found(table, _LABEL_NAMES)) > 1:
        return None  # Nothing here needs them, so that nobody has to say which is meant.
    label = _optional(table, _LABEL_NAMES, option="--label", taken=taken)
    if label is None and settings.require_labels and settings.task == "text-classification":
        raise DataError(_nothing(table, "a label", "--label"))
    return label


def _named(table: RecordTable, name: str | None, option: str) -> str | None:
    """Returns the column that the user named, or None where no name was given."""
    if name is None:
        return None
    found = _find(table, name)
    if found is None:
        raise DataError(
            f"{option} {name}: {table.name} has no such column, only {', '.join(table.columns)}"
            f"{did_you_mean(name, table.columns)}"
        )
    return found


def _find(table: RecordTable, name: str) -> str | None:
    """Returns the column of that name, in its own case if there is one, else in any case."""
    if name in table.columns:
        return name
    same = [column for column in table.columns if column.lower() == name.lower()]
    return same[0] if len(same) == 1 else None


def _all_found(table: RecordTable, names: Sequence[str]) -> list[str]:
    return [column for column in table.columns if column.lower() in names]


def _one_of(
    table: RecordTable, names: Sequence[str], *, what: str, option: str, but: str | None = None
) -> str:
    found = _optional(table, names, option=option, taken=(but,))
    if found is None:
        raise DataError(_nothing(table, what, option))
    return found


def _optional(
    table: RecordTable, names: Sequence[str], *, option: str, taken: Sequence[str | None] = ()
) -> str | None:
    found = [name for name in _all_found(table, names) if name not in taken]
    if len(found) > 1:
        raise DataError(
            f"{table.name} has several columns that may be meant: {', '.join(found)} "
            f"(of {', '.join(table.columns)}); type {option} NAME"
        )
    return found[0] if found else None


def _required(table: RecordTable, name: str | None, usual: str) -> str:
    found = _named(table, name, f"--{usual}") or _find(table, usual)
    if found is None:
        raise DataError(_nothing(table, f"the {usual}", f"--{usual}"))
    return found


def _guess(role: str, column: str, option: str) -> str:
    return f"{role} in {column!r} ({option})"


def _nothing(table: RecordTable, what: str, option: str) -> str:
    count = len(table.columns)
    found = "one column" if count == 1 else f"{count} columns"
    return (
        f"{table.name} has no column with a usual name for {what}; it has {found}: "
        f"{', '.join(table.columns)}; type {option} NAME (the first line of a CSV or TSV must be "
        f"the header; --no-header if it has none, and then the column's number)"
    )
