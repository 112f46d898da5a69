"""Lists in a label column: written as text, and as zeros and ones that mean their positions.

    "['joy', 'fear']"    as spreadsheets write a list           joy and fear
    [0, 1, 1]            multi-hot, all rows of one length      classes 1 and 2
    [0, 1, 0]            one-hot in every row                   class 1
    [1, 4]               numbers of classes                     classes 1 and 4

Rows of zeros and ones of one length of 2 or more are never numbers of classes: those would name a
class twice.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from bertcompress.data.table import LabelKind

_BETWEEN_TEXTS = re.compile(r"""(["'])\s+(["'])""")
_NUMPY_NUMBERS = re.compile(r"[-\d.]+(\s+[-\d.]+)*")


def from_texts(values: Sequence[object]) -> list[object]:
    """Returns the values with lists in place of their texts, where all values are such texts."""
    texts = [value for value in values if value is not None and value != ""]
    lists = [_list_in(text) for text in texts]
    if not texts or any(row is None for row in lists):
        return list(values)
    of_text = {str(text): row for text, row in zip(texts, lists, strict=True)}
    return [value if value is None or value == "" else of_text[str(value)] for value in values]


def from_positions(
    values: Sequence[object], kind: LabelKind
) -> tuple[list[object], tuple[str, ...]]:
    """Returns lists of zeros and ones as the positions of the ones, and a note; others as is.

    Args:
        values: The label column.
        kind: What was asked; where it is one class, or nothing and each row has a single one, the
            position alone is given.
    """
    rows = [value for value in values if value is not None and value != ""]
    hot = [row for row in rows if isinstance(row, list | tuple) and _is_hot(row)]
    lengths = {len(row) for row in hot}
    if not hot or len(hot) < len(rows) or len(lengths) > 1 or kind == "number":
        return list(values), ()
    single = kind != "multi" and all(sum(bool(item) for item in row) == 1 for row in hot)
    if kind == "class" and not single:
        return list(values), ()
    [length] = lengths
    what = "the position of the one is the class" if single else "positions of ones are the classes"
    note = f"the labels are lists of {length} zeros and ones: {what}, 0 to {length - 1}"
    return [_positions(value, single=single) for value in values], (note,)


def _is_hot(row: Sequence[object]) -> bool:
    return len(row) > 1 and all(isinstance(item, int | float) and item in (0, 1) for item in row)


def _positions(value: object, *, single: bool) -> object:
    if not isinstance(value, list | tuple):
        return value
    positions = [position for position, item in enumerate(value) if item]
    return positions[0] if single else positions


def _list_in(text: object) -> list[object] | None:
    """Returns the list that a text spells in Python's, JSON's or NumPy's way, else None."""
    if not (isinstance(text, str) and text.startswith("[") and text.endswith("]")):
        return None
    inside = text[1:-1].strip()
    items = _BETWEEN_TEXTS.sub(r"\1,\2", inside)  # without a comma Python glues texts together
    if _NUMPY_NUMBERS.fullmatch(inside):
        items = ",".join(inside.split())
    try:
        value = ast.literal_eval(f"[{items}]")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    plain = isinstance(value, list) and all(isinstance(item, str | int | float) for item in value)
    return value if plain else None
