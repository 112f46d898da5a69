"""Lists of labels as text, and as zeros and ones."""

from __future__ import annotations

import pytest

from bertcompress.data.label_lists import from_positions, from_texts
from bertcompress.data.table import LabelKind


@pytest.mark.parametrize(
    ("texts", "lists"),
    [
        (["['joy', 'fear']", "[]"], [["joy", "fear"], []]),
        (['["joy"]', None, ""], [["joy"], None, ""]),
        (["[0, 1, 0]"], [[0, 1, 0]]),
        (["[0 1 0]", "[ 1  4]"], [[0, 1, 0], [1, 4]]),
        (["[0. 1.]"], [[0.0, 1.0]]),
        (["['joy' 'fear']"], [["joy", "fear"]]),
        (["['a']", "b"], ["['a']", "b"]),
        (["[PAD]"], ["[PAD]"]),
        ([["a"], 1], [["a"], 1]),
        ([], []),
    ],
)
def test_lists_that_are_spelled_out(texts: list[object], lists: list[object]) -> None:
    assert from_texts(texts) == lists


@pytest.mark.parametrize(
    ("rows", "kind", "positions"),
    [
        ([[0, 1, 0], [0, 0, 1]], "auto", [1, 2]),
        ([[0, 1, 0], [0, 0, 1]], "class", [1, 2]),
        ([[0, 1, 0], [0, 0, 1]], "multi", [[1], [2]]),
        ([[0, 1, 1], None, [0, 0, 0]], "auto", [[1, 2], None, []]),
        ([[0.0, 1.0], [True, False]], "auto", [1, 0]),
    ],
)
def test_zeros_and_ones_name_positions(
    rows: list[object], kind: LabelKind, positions: list[object]
) -> None:
    found, [note] = from_positions(rows, kind)

    assert found == positions
    assert "zeros and ones" in note


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([[0], [1]], "auto"),
        ([[0, 1], [1]], "auto"),
        ([[0, 2], [1, 0]], "auto"),
        ([["0", "1"]], "auto"),
        ([[0, 1, 1]], "class"),
        ([[0, 1, 1]], "number"),
        ([1, 0], "auto"),
    ],
)
def test_other_lists_stay(rows: list[object], kind: LabelKind) -> None:
    assert from_positions(rows, kind) == (rows, ())
