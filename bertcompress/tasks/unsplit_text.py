"""Texts that are not split into words: which tokens are one word, and where it stands.

A tokenizer that marks the pieces inside a word (WordPiece's ``##``) knows words: blanks, full stops
and each Chinese character part them, and the first piece of a word answers for it, as in data that
comes in words. Spans are then those of Transformers' token-classification pipeline with
``aggregation_strategy="first"``. Other tokenizers (byte-level BPE, SentencePiece) glue full stops
to words and take a sentence without blanks for one word, so each token answers for itself: the
pipeline's ``"simple"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from bertcompress.tasks.base import IntArray, Tokenizer
from bertcompress.tasks.encoding import input_rows, is_cut

if TYPE_CHECKING:
    from transformers import BatchEncoding


@dataclass(frozen=True)
class UnsplitRow:
    """A text as tokens.

    Attributes:
        inputs: What the model is fed, int64 ``[length]`` each.
        word_ids: Each token's word, counted from 0, or -1 for special tokens; int64 ``[length]``.
        offsets: Each token's characters in the text, int64 ``[length, 2]``.
        is_cut: Whether tokens were cut away at the end.
    """

    inputs: dict[str, IntArray]
    word_ids: IntArray
    offsets: IntArray
    is_cut: bool


def encode_unsplit(
    tokenizer: Tokenizer, texts: Sequence[str], *, max_length: int
) -> list[UnsplitRow]:
    """Returns the tokens of each text, cut to `max_length`, with their words and characters."""
    if not texts:
        return []
    answer = tokenizer(
        list(texts),
        truncation=True,
        max_length=max_length,
        padding=False,
        return_offsets_mapping=True,
    )
    batch = cast("BatchEncoding", answer)
    whole_words = knows_words(tokenizer)
    rows = []
    for number, inputs in enumerate(input_rows(batch)):
        word_ids = _word_ids(batch.word_ids(number), whole_words=whole_words)
        offsets = np.asarray(batch["offset_mapping"][number], dtype=np.int64)
        rows.append(UnsplitRow(inputs, word_ids, offsets, is_cut(batch, number)))
    return rows


def knows_words(tokenizer: Tokenizer) -> bool:
    """Says whether the tokenizer marks the pieces inside a word, as WordPiece does."""
    core = getattr(tokenizer, "backend_tokenizer", None)
    return bool(getattr(getattr(core, "model", None), "continuing_subword_prefix", None))


def word_spans(word_ids: IntArray, offsets: IntArray) -> list[tuple[int, int]]:
    """Returns the first character of each word and the one after its last.

    Args:
        word_ids: Of `UnsplitRow`.
        offsets: Of `UnsplitRow`.
    """
    spans = []
    for word in range(int(word_ids.max(initial=-1)) + 1):
        tokens = offsets[word_ids == word]
        spans.append((int(tokens[0, 0]), int(tokens[-1, 1])))
    return spans


def _word_ids(given: Sequence[int | None], *, whole_words: bool) -> IntArray:
    """Counts words from 0 without gaps; a tokenizer counts words too that it makes nothing of."""
    word_ids = np.full(len(given), -1, dtype=np.int64)
    word, last = -1, None
    for token, word_id in enumerate(given):
        if word_id is None:
            continue
        if not whole_words or word_id != last:
            word += 1
        word_ids[token], last = word, word_id
    return word_ids
