"""Labels: what the values of a label column mean, and renaming by the user's own table.

The one rule for a label's text: blanks around it are stripped, a whole number is written without a
point (``1.0`` is ``1``, also as a text in a column of numbers), a boolean is ``true`` or ``false``;
nothing, an empty text and NaN are no label. Nothing is renamed silently: an integer class becomes
its decimal text (``0`` -> ``"0"``), and only a label map that the user typed turns that into
``"negative"``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from bertcompress.data.label_lists import from_positions, from_texts
from bertcompress.data.table import LabelKind, ReadSettings
from bertcompress.errors import DataError, did_you_mean
from bertcompress.examples import Example, TextExample, TokenExample

Label = str | tuple[str, ...] | float | None

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_WHOLE = re.compile(r"(-?\d+)\.0+")
_NO_NUMBERS = ("nan", "none", "null", "na", "n/a")
"""What tables write for a missing number, in lower case."""


def parse_labels(
    values: Sequence[object], places: Sequence[str], settings: ReadSettings
) -> tuple[list[Label], tuple[str, ...]]:
    """Returns each value as class name, several class names or number, and notes.

    Args:
        values: The label column; None where a row has no label.
        places: Where each value stands, for messages.
        settings: Its `label_kind` decides; ``auto`` takes lists as several names, numbers as
            numbers when one is not whole or the task compares embeddings, all else as a name.
            Lists of zeros and ones of one length name their positions.

    Raises:
        DataError: A label is missing or not of the kind.
    """
    separator = settings.columns.label_separator
    kind = settings.label_kind
    given, notes = from_positions(from_texts(_present(values)), kind)
    if kind == "auto":
        kind = _kind_of(given, settings)
    texts = _texts(given) if kind in ("class", "multi") else {}
    labels: list[Label] = []
    for value, place in zip(given, places, strict=True):
        if value is None or (value == "" and kind != "multi"):
            _check_may_miss(place, settings)
            labels.append(None)
        elif kind == "number":
            labels.append(_number(value, place))
        elif kind == "multi":
            names = _several(value, place, separator)
            labels.append(tuple(dict.fromkeys(texts.get(name, name) for name in names)))
        else:
            name = class_name(value, place)
            labels.append(texts.get(name, name))
    return labels, notes


def class_name(value: object, place: str) -> str:
    """Returns the text of a class, by the rule at the head of this module.

    Raises:
        DataError: The value is missing, a list or an object.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal) and not is_missing(value):
        return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)
    if isinstance(value, list | tuple):
        raise DataError(
            f"{place}: the label is a list, {_short(value)}, where one class was asked; "
            "type --label-kind multi"
        )
    raise DataError(f"{place}: the label is {_short(value)}; write a class name or a number")


def is_missing(value: object) -> bool:
    """Says whether a value is nothing: None, or NaN, which tables of numbers hold for it."""
    return value is None or (isinstance(value, float | Decimal) and math.isnan(value))


def natural_key(label: str) -> tuple[int, float, tuple[str | int, ...]]:
    """Is a key to sort labels by: numbers by value and before names, digits in names as numbers.

    >>> sorted(["10", "b10", "2", "b2", "-1"], key=natural_key)
    ['-1', '2', '10', 'b2', 'b10']
    """
    if _NUMBER.fullmatch(label):
        return 0, float(label), ()
    parts = re.split(r"(\d+)", label)
    return 1, 0.0, tuple(int(part) if at % 2 else part for at, part in enumerate(parts))


def rename_labels(
    examples: Sequence[Example], label_map: Mapping[str, str]
) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Returns the examples with labels renamed, and a note that says how many.

    Raises:
        DataError: None of the map's labels is in the data.
    """
    found = {label for example in examples for label in _names_of(example)}
    hit = [old for old in label_map if old in found]
    if not hit:
        shown = ", ".join(sorted(found)[:20]) or "none"
        asked = next(iter(label_map), "")
        raise DataError(
            f"--label-map renames {', '.join(label_map)}, but the data's labels are {shown}"
            f"{did_you_mean(asked, found)}"
        )
    renamed = tuple(_renamed(example, label_map) for example in examples)
    return renamed, (
        f"labels renamed as asked: {', '.join(f'{old}={label_map[old]}' for old in hit)}",
    )


def without_labels(examples: Sequence[Example]) -> tuple[Example, ...]:
    """Returns the examples with nothing but their texts."""
    return tuple(
        replace(example, tags=None)
        if isinstance(example, TokenExample)
        else replace(example, label=None)
        if isinstance(example, TextExample)
        else replace(example, answers=())
        for example in examples
    )


def _present(values: Sequence[object]) -> list[object]:
    """Returns the values with None for all that is no label, and texts without blanks around."""
    given = [value.strip() if isinstance(value, str) else value for value in values]
    given = [None if is_missing(value) else value for value in given]
    words = [value for value in given if isinstance(value, str) and value]
    names = [word for word in words if word.casefold() not in _NO_NUMBERS]
    if not names or any(_as_number(name) is None for name in names):
        return given
    return [
        None if isinstance(value, str) and value in {*words} - {*names} else value
        for value in given
    ]


def _texts(given: Sequence[object]) -> dict[str, str]:
    """Returns what each text of a column of whole numbers is written as: ``1.0`` as ``1``."""
    items = [
        item
        for value in given
        for item in (value if isinstance(value, list | tuple) else (value,))
        if item is not None and item != ""
    ]
    numbers = [_as_number(item) for item in items]
    if any(number is None or not number.is_integer() for number in numbers):
        return {}
    matches = [_WHOLE.fullmatch(item) for item in items if isinstance(item, str)]
    return {match[0]: match[1] for match in matches if match is not None}


def _kind_of(values: Sequence[object], settings: ReadSettings) -> LabelKind:
    present = [value for value in values if value is not None]
    if settings.columns.label_separator is not None:
        return "multi"
    if any(isinstance(value, list | tuple) for value in present):
        return "multi"
    numbers = [_as_number(value) for value in present if value != ""]
    if not numbers or any(number is None for number in numbers):
        return "class"
    whole = all(number is not None and number.is_integer() for number in numbers)
    return "class" if whole and settings.task != "feature-extraction" else "number"


def _as_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _number(value: object, place: str) -> float:
    number = _as_number(value)
    if number is None:
        raise DataError(
            f"{place}: the label is {_short(value)} where a number was asked; "
            "repair it, or type --label-kind class"
        )
    return number


def _several(value: object, place: str, separator: str | None) -> tuple[str, ...]:
    if isinstance(value, str) and separator is not None:
        parts = [part.strip() for part in value.split(separator)]
        return tuple(dict.fromkeys(part for part in parts if part))
    if isinstance(value, list | tuple):
        names = [class_name(item, place) for item in value]
        return tuple(dict.fromkeys(name for name in names if name))
    raise DataError(
        f"{place}: the label is {_short(value)} where a list of labels was asked; type "
        "--label-separator '|' (or ';') if one string holds several"
    )


def _check_may_miss(place: str, settings: ReadSettings) -> None:
    if settings.require_labels:
        raise DataError(
            f"{place} has no label; remove the row, or choose a labelled split with --split "
            "(test splits on the hub often have no labels)"
        )


def _names_of(example: Example) -> tuple[str, ...]:
    if isinstance(example, TokenExample):
        return example.tags or ()
    if not isinstance(example, TextExample):
        return ()
    if isinstance(example.label, str):
        return (example.label,)
    return example.label if isinstance(example.label, tuple) else ()


def _renamed(example: Example, label_map: Mapping[str, str]) -> Example:
    names = tuple(label_map.get(name, name) for name in _names_of(example))
    if isinstance(example, TokenExample) and example.tags is not None:
        return replace(example, tags=names)
    if isinstance(example, TextExample) and isinstance(example.label, str):
        return replace(example, label=names[0])
    if isinstance(example, TextExample) and isinstance(example.label, tuple):
        return replace(example, label=tuple(dict.fromkeys(names)))
    return example


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
