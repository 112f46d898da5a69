"""Labels are named by number or refused; contradictions are told; switches are left out."""

from __future__ import annotations

from typing import Any

import pytest

from bertcompress.bert.loading.config_fields import plain_fields
from bertcompress.errors import LoadError


def plain(**fields: Any) -> tuple[dict[str, Any], list[str]]:
    """Returns what is left of a configuration, and what is told."""
    told: list[str] = []
    return plain_fields(fields, "model", note=told.append), told


def test_switches_are_left_out_and_what_the_model_is_stays() -> None:
    fields, told = plain(
        hidden_size=32, return_dict=False, attn_implementation="eager", torch_dtype="float16"
    )

    assert (fields, told) == ({"hidden_size": 32}, [])


@pytest.mark.parametrize("numbers", [{"b": 1, "a": 0}, {}, None])
def test_labels_stand_in_the_order_of_their_numbers(numbers: dict[str, int] | None) -> None:
    fields, told = plain(id2label={"1": "b", "0": "a"}, label2id=numbers, num_labels=2)

    assert list(fields["id2label"].items()) == [("0", "a"), ("1", "b")]
    assert fields["label2id"] == {"a": 0, "b": 1}
    assert told == []


def test_names_that_are_numbers_are_text() -> None:
    assert plain(id2label={"0": 0, "1": 1})[0]["id2label"] == {"0": "0", "1": "1"}


def test_the_other_direction_is_followed_nowhere_and_told() -> None:
    fields, told = plain(id2label={"0": "a", "1": "b"}, label2id={"a": 1, "b": 0})

    assert fields["label2id"] == {"a": 0, "b": 1}
    assert told == [
        "model: label 0 is 'a' by id2label and 'a' is 1 by label2id in config.json; id2label is "
        "followed, as Transformers does"
    ]


def test_names_in_the_other_direction_alone_are_told() -> None:
    fields, told = plain(label2id={"a": 0, "b": 1})

    assert "label2id" not in fields
    assert "label2id and no id2label" in told[0]
    assert plain(label2id={"LABEL_0": 0, "LABEL_1": 1})[1] == []


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b"],
        {"LABEL_0": "a"},
        {"0": "a", " 0": "b"},
        {"0": None},
        {"0": ["a"]},
        "ab",
        {"-1": "a"},
    ],
)
def test_labels_without_numbers_are_refused(labels: Any) -> None:
    with pytest.raises(LoadError, match=r"must name each class by its number"):
        plain(id2label=labels)


def test_another_number_of_labels_is_refused_where_labels_count() -> None:
    named = {"id2label": {"0": "a", "1": "b"}, "num_labels": 3}

    with pytest.raises(LoadError, match=r"there are 3 labels \(num_labels\) and names 2"):
        plain(architectures=["BertForSequenceClassification"], **named)
    assert plain(architectures=["BertModel"], **named)[0]["num_labels"] == 3
