"""Words of a text that came unsplit."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from bertcompress.tasks.unsplit_text import encode_unsplit, knows_words, word_spans


def byte_level() -> PreTrainedTokenizerFast:
    letters = {letter: at for at, letter in enumerate(["<unk>", "<pad>", "Ġ", *"abcdefil.nms"])}
    core = Tokenizer(models.BPE(letters, [], unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # Transformers has no types here
        tokenizer_object=core, unk_token="<unk>", pad_token="<pad>"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("anna lives.", ["anna", "lives", "."]),
        ("  (anna)  xyz ", ["(", "anna", ")", "xyz"]),
        ("ann京都a", ["ann", "京", "都", "a"]),
        ("Anna\u00a0is\tin\nBerlin", ["Anna", "is", "in", "Berlin"]),
        ("a\u00adnna is", ["a\u00adnna", "is"]),
        ("naïve xyz", ["naïve", "xyz"]),
        ("", []),
    ],
)
def test_wordpiece_knows_words(
    tokenizer: PreTrainedTokenizerFast, text: str, words: list[str]
) -> None:
    [row] = encode_unsplit(tokenizer, [text], max_length=32)

    spans = word_spans(row.word_ids, row.offsets)

    assert knows_words(tokenizer)
    assert [text[start:end] for start, end in spans] == words


def test_other_tokenizers_answer_a_token_at_a_time() -> None:
    byte_pairs = byte_level()

    [row] = encode_unsplit(byte_pairs, ["ab."], max_length=32)

    assert not knows_words(byte_pairs)
    assert row.word_ids.tolist() == [0, 1, 2]
    assert word_spans(row.word_ids, row.offsets) == [(0, 1), (1, 2), (2, 3)]


def test_a_long_text_is_cut(tokenizer: PreTrainedTokenizerFast) -> None:
    [row] = encode_unsplit(tokenizer, ["anna lives in berlin"], max_length=4)

    assert row.word_ids.tolist() == [-1, 0, 1, -1]
    assert row.inputs["input_ids"].shape == (4,)
    assert np.array_equal(row.offsets[1:3], [[0, 4], [5, 10]])
    assert encode_unsplit(tokenizer, [], max_length=4) == []
