"""Labels' kinds and their renaming."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bertcompress.data.labels import Label, class_name, natural_key, parse_labels, rename_labels
from bertcompress.data.table import Columns, LabelKind, ReadSettings
from bertcompress.errors import DataError
from bertcompress.examples import Example, QuestionExample, TextExample, TokenExample


def parsed(
    values: list[object],
    kind: LabelKind = "auto",
    *,
    task: str = "text-classification",
    separator: str | None = None,
    require: bool = True,
) -> list[Label]:
    settings = ReadSettings(task, Columns(label_separator=separator), kind, require)
    places = [f"t:{at}" for at, _ in enumerate(values, start=1)]
    return parse_labels(values, places, settings)[0]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["pos", "neg"], ["pos", "neg"]),
        ([0, 1], ["0", "1"]),
        (["0", "1"], ["0", "1"]),
        ([True, False], ["true", "false"]),
        ([3.8, 5.0], [3.8, 5.0]),
        (["3.8", "5"], [3.8, 5.0]),
        (["3.8", "x"], ["3.8", "x"]),
        (["nan", "x"], ["nan", "x"]),
        (["1.0", "0.0"], ["1", "0"]),
        ([1.0, 0.0], ["1", "0"]),
        ([Decimal("1.00"), 2], ["1", "2"]),
        ([" pos ", "\tneg"], ["pos", "neg"]),
        (["1.0", "x"], ["1.0", "x"]),
        ([[1.0, "4.0"], ["2"]], [("1", "4"), ("2",)]),
        ([[0, 1, 0], [1, 0, 0]], ["1", "0"]),
        ([[0, 1, 1], [0, 0, 0]], [("1", "2"), ()]),
        ([["a ", ""]], [("a",)]),
        ([["a", "b", "a"], []], [("a", "b"), ()]),
    ],
)
def test_auto_looks_at_the_values(values: list[object], labels: list[Label]) -> None:
    assert parsed(values) == labels


def test_similarities_are_numbers() -> None:
    assert parsed([4, 5], task="feature-extraction") == [4.0, 5.0]


def test_a_separator_makes_several() -> None:
    assert parsed(["a|b", "b", ""], separator="|") == [("a", "b"), ("b",), ()]


def test_an_asked_kind_is_taken() -> None:
    assert parsed(["1", "2"], "number") == [1.0, 2.0]
    assert parsed([3.5], "class") == ["3.5"]
    assert parsed([["a"]], "multi") == [("a",)]


@pytest.mark.parametrize(
    ("values", "kind", "sentence"),
    [
        (["x"], "number", "t:1: the label is 'x' where a number was asked"),
        ([True], "number", "t:1: the label is True where a number was asked"),
        (["a|b"], "multi", r"'a\|b' where a list of labels was asked; type --label-separator"),
        ([["a"]], "class", r"the label is a list, \['a'\].*type --label-kind multi"),
        ([{"a": 1}], "class", "the label is {'a': 1}; write a class name or a number"),
        (["a", None], "auto", "t:2 has no label; .*labelled split with --split"),
        (["a", ""], "class", "t:2 has no label"),
        (["a", "  "], "class", "t:2 has no label"),
        (["a", float("nan")], "class", "t:2 has no label"),
        (["1", "nan"], "auto", "t:2 has no label"),
        ([[0, 1, 1]], "class", r"the label is a list, \[0, 1, 1\]"),
    ],
)
def test_a_bad_label_names_its_row(values: list[object], kind: LabelKind, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        parsed(values, kind)


def test_labels_may_be_missing_if_asked() -> None:
    assert parsed(["a", None, ""], require=False) == ["a", None, None]
    assert parsed([1.5, float("nan")], require=False) == [1.5, None]
    assert parsed(["1", "nan", "NULL"], require=False) == ["1", None, None]


def test_a_map_renames_labels_and_tags() -> None:
    examples: list[Example] = [
        TextExample("1", "a", label="0"),
        TextExample("2", "b", label=("0", "x")),
        TextExample("3", "c", label=1.5),
        TokenExample("4", ("w",), ("0",)),
        TokenExample("5", ("w",)),
        QuestionExample("6", "q", "c"),
    ]

    renamed, notes = rename_labels(examples, {"0": "negative", "9": "nine"})

    assert renamed == (
        TextExample("1", "a", label="negative"),
        TextExample("2", "b", label=("negative", "x")),
        TextExample("3", "c", label=1.5),
        TokenExample("4", ("w",), ("negative",)),
        TokenExample("5", ("w",)),
        QuestionExample("6", "q", "c"),
    )
    assert notes == ("labels renamed as asked: 0=negative",)


def test_a_map_of_other_labels_is_refused() -> None:
    with pytest.raises(DataError, match="renames posit, but the data's labels are pos; did you me"):
        rename_labels([TextExample("1", "a", label="pos")], {"posit": "positive"})


def test_labels_sort_in_natural_order() -> None:
    labels = ["10", "label 10", "2", "label 2", "-1", "1.5", "b"]

    in_order = sorted(labels, key=natural_key)

    assert in_order == ["-1", "1.5", "2", "10", "b", "label 2", "label 10"]


def test_an_object_is_no_class() -> None:
    with pytest.raises(DataError, match="t:1: the label is None"):
        class_name(None, "t:1")
