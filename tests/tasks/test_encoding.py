"""Rows from the tokenizer."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from bertcompress.errors import DataError, UsageError
from bertcompress.examples import TextExample
from bertcompress.tasks.encoding import (
    encode_texts,
    lowercased,
    pairs_of,
    prompt_length,
    spaced,
)


def test_rows_are_not_padded(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = encode_texts(tokenizer, ["good film", "bad"], max_length=16)

    assert [row.inputs["input_ids"].shape for row in rows] == [(4,), (3,)]
    assert rows[0].inputs["attention_mask"].tolist() == [1, 1, 1, 1]
    assert encode_texts(tokenizer, [], max_length=16) == []


def test_pairs_have_token_types_and_are_cut(tokenizer: PreTrainedTokenizerFast) -> None:
    rows = encode_texts(tokenizer, ["good"], ["bad film the film"], max_length=6)

    assert rows[0].inputs["token_type_ids"].tolist() == [0, 0, 0, 1, 1, 1]
    assert [row.is_cut for row in rows] == [True]
    assert not encode_texts(tokenizer, ["good"], max_length=6)[0].is_cut


def test_token_types_that_a_tokenizer_leaves_out_are_zeros(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "model_input_names", ["input_ids", "attention_mask"])

    rows = encode_texts(tokenizer, ["good"], ["bad"], max_length=8)

    assert rows[0].inputs["token_type_ids"].tolist() == [0] * 5


def test_a_length_without_room_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UsageError, match="max_length must be 4 or more, got 2; type 128"):
        encode_texts(tokenizer, ["good"], max_length=2)


def test_pairs_are_all_or_none() -> None:
    single, pair = TextExample("1", "a"), TextExample("2", "a", "b")

    assert pairs_of([single]) is None
    assert pairs_of([pair]) == ["b"]
    with pytest.raises(DataError, match="1 of 2 examples are pairs and 1 is not"):
        pairs_of([single, pair])


def test_a_prompts_length_leaves_out_the_last_special_token(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    assert prompt_length(tokenizer, "good film", max_length=16) == 3
    assert prompt_length(tokenizer, "good film bad", max_length=4) == 3


def test_letters_become_small_before_the_tokenizers_own_rules(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    cased = copy.deepcopy(tokenizer)
    cased.backend_tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    small = lowercased(cased)

    rows = [encode_texts(each, ["GOOD [SEP]"], max_length=9)[0] for each in (cased, small)]

    assert [row.inputs["input_ids"].shape for row in rows] == [(4,), (4,)]
    assert rows[1].inputs["input_ids"][1] == tokenizer.convert_tokens_to_ids("good")
    assert lowercased(cased) is small


@pytest.mark.parametrize("prefix", [True, False])
def test_words_of_a_list_are_split_as_after_a_space(prefix: bool) -> None:
    words = ["Anna", "", " in", "Berlin"]
    judge, core = (
        Tokenizer(models.BPE({letter: at for at, letter in enumerate(alphabet)}, []))
        for alphabet in [sorted(pre_tokenizers.ByteLevel.alphabet())] * 2
    )
    judge.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    fast: Any = PreTrainedTokenizerFast
    wrapped = fast(tokenizer_object=core, add_prefix_space=prefix)

    ids = core.encode(spaced(wrapped, words), is_pretokenized=True).ids

    assert ids == judge.encode(words, is_pretokenized=True).ids


def test_other_tokenizers_get_the_words_as_they_are(tokenizer: PreTrainedTokenizerFast) -> None:
    assert spaced(tokenizer, ("good", "film")) == ["good", "film"]
