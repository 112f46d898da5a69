"""Reads SQuAD, versions 1.1 and 2.0.

Source: Rajpurkar et al., "Know What You Don't Know: Unanswerable Questions for SQuAD", ACL 2018;
the format is that of the files at https://rajpurkar.github.io/SQuAD-explorer/. A question marked
``is_impossible`` has no answers here; its ``plausible_answers`` are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bertcompress.data.table import Reading, note_on_bad_rows
from bertcompress.errors import DataError
from bertcompress.examples import Answer, QuestionExample


def is_squad(content: object) -> bool:
    """Says whether a JSON document has the shape of SQuAD: ``data``, then ``paragraphs``."""
    if not isinstance(content, Mapping):
        return False
    data = content.get("data")
    if not isinstance(data, list) or not data:
        return False
    return isinstance(data[0], Mapping) and "paragraphs" in data[0]


def read_squad(content: object, *, name: str) -> Reading:
    """Returns the questions in the file's order, by their own ids where these are unique.

    Raises:
        DataError: A part that the format demands is missing or of another type, in half of the
            questions or more.
    """
    examples: list[QuestionExample] = []
    faults: list[DataError] = []
    seen: set[str] = set()
    for found in _questions(content, name):
        if isinstance(found, DataError):
            faults.append(found)
            continue
        question, context = found
        place = f"{name}:{len(examples) + len(faults) + 1}"
        own = question.get("id")
        identity = own if isinstance(own, str) and own not in seen else place
        try:
            examples.append(_example(question, context, identity=identity, place=place))
        except DataError as fault:
            faults.append(fault)
        else:
            seen.add(identity)
    notes: tuple[str, ...] = ()
    if faults:
        count = len(examples) + len(faults)
        notes = (note_on_bad_rows(name, len(faults), count, faults[0], rows="questions"),)
    if not examples:
        raise DataError(f"{name} is SQuAD data without a question; type the path of another file")
    return Reading(tuple(examples), (*notes, *misplaced_answers(examples)))


def answers_of(value: object, *, place: str) -> tuple[Answer, ...]:
    """Returns answers written as ``[{text, answer_start}]`` or ``{text: [], answer_start: []}``.

    Raises:
        DataError: The value has neither form.
    """
    if value is None:
        return ()
    if isinstance(value, Mapping):
        texts, starts = value.get("text"), value.get("answer_start")
        if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
            pairs = zip(texts, starts, strict=True)
            return tuple(_answer(text, start, place) for text, start in pairs)
    elif isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
        return tuple(_answer(item.get("text"), item.get("answer_start"), place) for item in value)
    raise DataError(
        f"{place}: the answers are {_short(value)}; write them as "
        '[{"text": "…", "answer_start": 0}]'
    )


def misplaced_answers(examples: list[QuestionExample]) -> tuple[str, ...]:
    """Returns a note on answers that do not stand where ``answer_start`` says, if there are any."""
    misplaced = sum(
        example.context[answer.start : answer.start + len(answer.text)] != answer.text
        for example in examples
        for answer in example.answers
    )
    if not misplaced:
        return ()
    return (
        f"{misplaced:,} answers are not at the place that answer_start gives; scores use the "
        "answer's text, training uses the place",
    )


def _questions(
    content: object, name: str
) -> Iterator[tuple[Mapping[str, object], str] | DataError]:
    """Gives questions with their context, and what is wrong with a part that can't be read."""
    for article in _list(content, "data", name):
        try:
            paragraphs = _list(article, "paragraphs", name)
        except DataError as fault:
            yield fault
            continue
        for paragraph in paragraphs:
            try:
                context = _text(paragraph, "context", name)
                questions = _list(paragraph, "qas", name)
            except DataError as fault:
                yield fault
                continue
            for question in questions:
                if isinstance(question, Mapping):
                    yield question, context
                else:
                    yield DataError(f"{name}: a question is {_short(question)}, not an object")


def _example(
    question: Mapping[str, object], context: str, *, identity: str, place: str
) -> QuestionExample:
    text = _text(question, "question", place)
    impossible = question.get("is_impossible") is True
    answers = () if impossible else answers_of(question.get("answers"), place=place)
    return QuestionExample(identity, text, context, answers)


def _list(value: object, key: str, place: str) -> list[object]:
    found = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(found, list):
        return found
    raise DataError(f"{place}: SQuAD data needs a list {key!r}, found {_short(found)}; repair it")


def _text(value: object, key: str, place: str) -> str:
    found = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(found, str):
        return found
    raise DataError(f"{place}: SQuAD data needs a text {key!r}, found {_short(found)}; repair it")


def _answer(text: object, start: object, place: str) -> Answer:
    if isinstance(text, str) and isinstance(start, int) and start >= 0:
        return Answer(text, start)
    raise DataError(
        f"{place}: an answer needs a text and a start of 0 or more, "
        f"found {_short(text)} and {_short(start)}"
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
