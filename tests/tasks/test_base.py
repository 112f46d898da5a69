"""Padding of features and targets."""

from __future__ import annotations

import numpy as np
import pytest

from bertcompress.tasks import Feature, pad, pad_targets


def feature(*ids: int, word_ids: bool = False, **targets: object) -> Feature:
    row = np.asarray(ids, dtype=np.int64)
    inputs = {
        "input_ids": row,
        "attention_mask": np.ones_like(row),
        "token_type_ids": np.zeros_like(row),
    }
    arrays = {name: np.asarray(value) for name, value in targets.items()}
    return Feature(0, inputs, arrays, word_ids=np.zeros_like(row) if word_ids else None)


@pytest.mark.parametrize(("multiple", "length"), [(1, 3), (8, 8)])
def test_rows_are_padded_on_the_right(multiple: int, length: int) -> None:
    batch = pad([feature(5, 6, 7), feature(8)], pad_token_id=9, multiple=multiple)

    assert batch["input_ids"].shape == (2, length)
    assert batch["input_ids"][1, :3].tolist() == [8, 9, 9]
    assert batch["attention_mask"][1, :3].tolist() == [1, 0, 0]


def test_targets_of_tokens_are_padded_and_others_stacked() -> None:
    tagged = [feature(5, 6, word_ids=True, labels=[1, 2]), feature(5, word_ids=True, labels=[3])]

    assert pad_targets(tagged, length=3)["labels"].tolist() == [[1, 2, -100], [3, -100, -100]]
    assert pad_targets([feature(1, labels=2), feature(1, labels=0)], length=4)[
        "labels"
    ].tolist() == [2, 0]
    assert pad_targets([feature(1, 2, labels=[0.0, 1.0])], length=4)["labels"].shape == (1, 2)
