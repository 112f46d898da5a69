"""Calls a fast tokenizer on many examples at once and hands out unpadded rows."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast
from weakref import WeakKeyDictionary

import numpy as np

from bertcompress.artifacts.model_config import INPUT_NAMES
from bertcompress.errors import DataError, UsageError
from bertcompress.examples import TextExample
from bertcompress.tasks.base import IntArray, Tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as Core
    from tokenizers.normalizers import Normalizer
    from transformers import BatchEncoding

_SHORTEST = 4
_NO_SPACE = b'"type":"ByteLevel","add_prefix_space":false'


class EncodedText(NamedTuple):
    """A text, or a pair, as the model takes it.

    Attributes:
        inputs: Int64 ``[length]`` each.
        is_cut: Whether tokens were cut away at the end.
    """

    inputs: dict[str, IntArray]
    is_cut: bool


def encode_texts(
    tokenizer: Tokenizer,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    max_length: int,
) -> list[EncodedText]:
    """Returns the inputs of each text or pair, cut to `max_length` tokens, longest part first."""
    check_length(max_length)
    if not texts:
        return []
    if pairs is not None:
        check_pairs(tokenizer)
    columns = [list(texts)] if pairs is None else [list(texts), list(pairs)]
    batch = tokenizer(*columns, truncation=True, max_length=max_length, padding=False)
    rows = input_rows(cast("BatchEncoding", batch))
    return [EncodedText(row, is_cut(batch, number)) for number, row in enumerate(rows)]


class _HasEncodings(Protocol):
    @property
    def encodings(self) -> Sequence[Encoding]: ...


def prompt_length(tokenizer: Tokenizer, prompt: str, *, max_length: int) -> int:
    """Returns how many tokens a prompt takes at the start of a text, the first special ones too.

    As Sentence Transformers counts them: those of the prompt alone, without a special last one.
    """
    batch = tokenizer([prompt], truncation=True, max_length=max_length, padding=False)
    mask = cast("_HasEncodings", batch).encodings[0].special_tokens_mask
    return len(mask) - (mask[-1] if mask else 0)


class _HasCore(Protocol):
    @property
    def backend_tokenizer(self) -> Core: ...


_LOWERCASED: WeakKeyDictionary[Tokenizer, Tokenizer] = WeakKeyDictionary()


def lowercased(tokenizer: Tokenizer) -> Tokenizer:
    """Returns the tokenizer with a step before its own rules that makes letters small.

    As Sentence Transformers does for ``do_lower_case``: nothing is added where that step is there.
    Special tokens in a text stay as they are.
    """
    from tokenizers.normalizers import Lowercase
    from tokenizers.normalizers import Sequence as Normalizers

    if tokenizer not in _LOWERCASED:
        lower = copy.deepcopy(tokenizer)
        core = cast("_HasCore", lower).backend_tokenizer
        before = core.normalizer
        steps: list[Normalizer] = [before] if before else []
        if isinstance(before, Normalizers):  # it is iterable, which its types do not say
            steps = list(cast("Iterable[Normalizer]", before))
        if not any(isinstance(step, Lowercase) for step in steps):
            core.normalizer = Normalizers([Lowercase(), *steps])
        _LOWERCASED[tokenizer] = lower
    return _LOWERCASED[tokenizer]


class EncodedWords(NamedTuple):
    """A list of words as a model takes it.

    Attributes:
        inputs: Int64 ``[length]`` each.
        word_ids: Each token's word, or -1, int64 ``[length]``.
        is_cut: Whether tokens were cut away at the end.
    """

    inputs: dict[str, IntArray]
    word_ids: IntArray
    is_cut: bool


def encode_words(
    tokenizer: Tokenizer, words: Sequence[Sequence[str]], *, max_length: int
) -> list[EncodedWords]:
    """Returns each list of words, cut to `max_length` tokens."""
    check_length(max_length)
    if not words:
        return []
    answer = tokenizer(
        [spaced(tokenizer, row) for row in words],
        is_split_into_words=True,
        truncation=True,
        max_length=max_length,
        padding=False,
    )
    batch = cast("BatchEncoding", answer)
    rows = []
    for number, inputs in enumerate(input_rows(batch)):
        word_ids = [-1 if word is None else word for word in batch.word_ids(number)]
        cut = is_cut(batch, number)
        rows.append(EncodedWords(inputs, np.asarray(word_ids, dtype=np.int64), cut))
    return rows


def is_cut(batch: object, row: int) -> bool:
    """Tells whether tokens of a row were cut away."""
    return bool(cast("_HasEncodings", batch).encodings[row].overflowing)


def input_rows(batch: BatchEncoding) -> list[dict[str, IntArray]]:
    """Returns each row's inputs, int64 ``[length]``; what the tokenizer leaves out is zeros."""
    rows: list[dict[str, IntArray]] = []
    given = cast("Mapping[str, Sequence[Sequence[int]]]", batch)
    for row, ids in enumerate(given["input_ids"]):
        inputs = {
            name: np.asarray(given[name][row], dtype=np.int64)
            if name in given
            else np.full(len(ids), name == "attention_mask", dtype=np.int64)
            for name in INPUT_NAMES
        }
        rows.append(inputs)
    return rows


def spaced(tokenizer: Tokenizer, words: Sequence[str]) -> list[str]:
    """Returns a sentence's words as a tokenizer must see them to split each as in a text.

    Byte-level BPE has pieces for words after a space; where its file puts none first, each word
    of a list gets one, as ``add_prefix_space`` would do.
    """
    core = getattr(tokenizer, "backend_tokenizer", None)
    splitter = core.pre_tokenizer if core is not None else None
    if splitter is None or _NO_SPACE not in splitter.__getstate__():
        return list(words)
    return [f" {word}" if word and not word.startswith(" ") else word for word in words]


def check_pairs(tokenizer: Tokenizer) -> None:
    """Fails where the model has no segment for the second text.

    Raises:
        DataError: It has none.
    """
    why = getattr(tokenizer, "no_pairs", None)
    if why is not None:
        raise DataError(why)


def check_length(max_length: int) -> None:
    """Fails where no text would be left between the special tokens."""
    if max_length < _SHORTEST:
        raise UsageError(
            f"max_length must be {_SHORTEST} or more, got {max_length}; type 128 for sentences"
        )


def pairs_of(examples: Sequence[TextExample]) -> list[str] | None:
    """Returns the second texts, or None where there are none.

    Raises:
        DataError: Some examples have a second text and some have none.
    """
    pairs = [example.text_pair for example in examples if example.text_pair is not None]
    if not pairs:
        return None
    if len(pairs) == len(examples):
        return pairs
    single = next(example for example in examples if example.text_pair is None)
    raise DataError(
        f"{len(pairs):,} of {len(examples):,} examples are pairs and {single.id} is not; "
        "give all a second text, or none"
    )
