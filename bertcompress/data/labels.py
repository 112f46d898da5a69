"""Labels: what the values of a label column mean, and renaming by the user's own table.

Nothing is renamed silently: an integer class becomes its decimal text (``0`` -> ``"0"``), and only
a label map that the user typed turns that into ``"negative"``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bertcompress.data.table import LabelKind, ReadSettings
from bertcompress.errors import DataError, did_you_mean
from bertcompress.examples import Example, TextExample, TokenExample

Label = str | tuple[str, ...] | float | None


def parse_labels(
    values: Sequence[object], places: Sequence[str], settings: ReadSettings
) -> list[Label]:
    """Returns each value as class name, several class names or number.

    Args:
        values: The label column; None where a row has no label.
        places: Where each value stands, for messages.
        settings: Its `label_kind` decides; ``auto`` takes lists as several names, numbers as
            numbers when one is not whole or the task compares embeddings, all else as a name.

    Raises:
        DataError: A label is missing or not of the kind.
    """
    separator = settings.columns.label_separator
    kind = settings.label_kind
    if kind == "auto":
        kind = _kind_of(values, settings)
    labels: list[Label] = []
    for value, place in zip(values, places, strict=True):
        if value is None or (value == "" and kind != "multi"):
            _check_may_miss(place, settings)
            labels.append(None)
        elif kind == "number":
            labels.append(_number(value, place))
        elif kind == "multi":
            labels.append(_several(value, place, separator))
        else:
            labels.append(class_name(value, place))
    return labels


def class_name(value: object, place: str) -> str:
    """Returns the text of a class: a string as it is, a number in decimal, a boolean in lower case.

    Raises:
        DataError: The value is a list or an object.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        raise DataError(
            f"{place}: the label is a list, {_short(value)}, where one class was asked; "
            "type --label-kind multi"
        )
    raise DataError(f"{place}: the label is {_short(value)}; write a class name or a number")


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
    if isinstance(value, bool) or not isinstance(value, int | float | str):
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
        return tuple(dict.fromkeys(class_name(item, place) for item in value))
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
