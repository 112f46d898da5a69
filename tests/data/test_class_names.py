"""Names of classes; tests/borders/test_label_encodings.py compares with the datasets library."""

from __future__ import annotations

import json

import pytest

from bertcompress.data.class_names import (
    names_in_features,
    names_in_schema,
    names_note,
    with_names,
)

CLASSES = {"names": ["neg", "pos"], "_type": "ClassLabel"}


@pytest.mark.parametrize(
    "feature",
    [
        CLASSES,
        {"num_classes": 2, "names": ["neg", "pos"], "id": None, "_type": "ClassLabel"},
        {"feature": CLASSES, "length": -1, "_type": "Sequence"},
        {"feature": CLASSES, "_type": "List"},
        [CLASSES],
        {"feature": {"feature": CLASSES, "_type": "List"}, "_type": "List"},
    ],
)
def test_every_way_to_write_a_feature(feature: object) -> None:
    found = names_in_features({"label": feature, "text": {"dtype": "string", "_type": "Value"}})

    assert found == {"label": ["neg", "pos"]}


def test_the_schemas_metadata() -> None:
    content = json.dumps({"info": {"features": {"label": CLASSES}}}).encode()

    assert names_in_schema({b"huggingface": content}) == {"label": ["neg", "pos"]}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"info": 1}', b'{"info": {}}'])
def test_other_metadata_names_nothing(content: bytes) -> None:
    assert names_in_schema({b"huggingface": content}) == {}
    assert names_in_schema(None) == {}


def test_numbers_become_names() -> None:
    named = {"label": ["neg", "pos"], "tags": ["O", "B-PER"]}

    row = with_names({"text": "a", "label": 1, "tags": [1, 0, -1]}, named)

    assert row == {"text": "a", "label": "pos", "tags": ["B-PER", "O", None]}
    assert with_names({"label": -1}, named) == {"label": None}
    assert with_names({"label": 7}, named) == {"label": None}


def test_what_was_read_is_told() -> None:
    many = [f"intent{at}" for at in range(9)]

    assert "'label' (0=neg, 1=pos)" in names_note({"label": ["neg", "pos"]})
    assert names_note({"x": many}).endswith("3=intent3, 4=intent4, …)")
