"""Rows from the tokenizer."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from bertcompress.errors import DataError, UsageError
from bertcompress.examples import TextExample
from bertcompress.tasks.encoding import encode_texts, pairs_of


def test_rows_are_not_padded(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = encode_texts(tokenizer, ["good film", "bad"], max_length=16)

    assert [row["input_ids"].shape for row in rows] == [(4,), (3,)]
    assert rows[0]["attention_mask"].tolist() == [1, 1, 1, 1]
    assert encode_texts(tokenizer, [], max_length=16) == []


def test_pairs_have_token_types_and_are_cut(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = encode_texts(tokenizer, ["good"], ["bad film the film"], max_length=6)

    assert rows[0]["token_type_ids"].tolist() == [0, 0, 0, 1, 1, 1]


def test_token_types_that_a_tokenizer_leaves_out_are_zeros(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "model_input_names", ["input_ids", "attention_mask"])

    rows = encode_texts(tokenizer, ["good"], ["bad"], max_length=8)

    assert rows[0]["token_type_ids"].tolist() == [0] * 5


def test_a_length_without_room_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UsageError, match="max_length must be 4 or more, got 2; type 128"):
        encode_texts(tokenizer, ["good"], max_length=2)


def test_pairs_are_all_or_none() -> None:
    single, pair = TextExample("1", "a"), TextExample("2", "a", "b")

    assert pairs_of([single]) is None
    assert pairs_of([pair]) == ["b"]
    with pytest.raises(DataError, match="1 of 2 examples are pairs and 1 is not"):
        pairs_of([single, pair])
