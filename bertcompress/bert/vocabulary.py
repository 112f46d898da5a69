"""Makes a vocabulary smaller: tokenizer, embedding table and configuration together.

WordPiece takes the longest piece that fits, and Unigram (SentencePiece: XLM-RoBERTa, CamemBERT) the
pieces whose log probabilities add up to the most. In both, leaving out pieces that a text does not
use changes nothing about how it is split. All special tokens stay, and so do all pieces of one
character: any text that could be encoded before still can be, in more and shorter pieces. Unigram
takes the score of an unknown character from its least likely piece, which stays for that reason.
A byte-level BPE vocabulary can't be made smaller so: its pieces are made of others by a chain of
merges, and one that texts never show may be a link.

Tokens numbered below the padding token stay as well: RoBERTa and its like count positions from the
padding token's number on, so that it must not change.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.families import pad_token_of
from bertcompress.errors import PassError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
"""Unigram's pieces for the bytes of a character that has no piece of its own."""


def count_tokens(rows: Iterable[NDArray[np.int64]], *, vocabulary: int) -> NDArray[np.int64]:
    """Returns how often each token occurs, int64 ``[vocabulary]``."""
    counts = np.zeros(vocabulary, dtype=np.int64)
    for row in rows:
        counts += np.bincount(row, minlength=vocabulary)[:vocabulary]
    return counts


def always_kept(tokenizer: PreTrainedTokenizerFast) -> set[int]:
    """Returns the tokens that no vocabulary may lack: special ones, and single characters.

    Raises:
        PassError: If it is neither a WordPiece nor a Unigram tokenizer.
    """
    model = _plain(tokenizer)["model"]
    prefix = str(model.get("continuing_subword_prefix", "##"))
    pieces = _pieces(model)
    needed = {
        number
        for piece, number in pieces.items()
        if len(piece.removeprefix(prefix)) == 1 or _BYTE.fullmatch(piece)
    }
    needed |= set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    if model["type"] == "Unigram":
        scores = [score for _, score in model["vocab"]]
        needed |= {int(np.argmin(scores)), int(model["unk_id"] or 0)}
    return needed | set(range(pad_token_of(tokenizer)))


def smaller_tokenizer(
    tokenizer: PreTrainedTokenizerFast, kept: Sequence[int]
) -> PreTrainedTokenizerFast:
    """Returns a tokenizer that knows only these tokens, numbered in the given order.

    Args:
        tokenizer: A WordPiece or Unigram tokenizer; left as it was.
        kept: Rising; with all of `always_kept`.

    Raises:
        PassError: If it is neither of them, or a token that it needs is missing.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast as Fast

    missing = always_kept(tokenizer) - set(kept)
    if missing:
        some = tokenizer.convert_ids_to_tokens(sorted(missing)[:3])
        raise PassError(f"a vocabulary needs {', '.join(map(str, some))} and its like")
    numbers = {old: new for new, old in enumerate(kept)}
    plain = _plain(tokenizer)
    _renumber_pieces(plain["model"], numbers)
    for token in plain["added_tokens"]:
        token["id"] = numbers[token["id"]]
    _renumber(plain.get("post_processor"), numbers)
    if plain.get("padding"):
        plain["padding"]["pad_id"] = numbers[plain["padding"]["pad_id"]]
    return Fast(
        tokenizer_object=Tokenizer.from_str(json.dumps(plain)),
        model_max_length=tokenizer.model_max_length,
        model_input_names=list(tokenizer.model_input_names),
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
        **tokenizer.special_tokens_map,
    )


def smaller_embeddings(model: PreTrainedModel, kept: Sequence[int]) -> PreTrainedModel:
    """Returns a copy of the model whose word embeddings are only these rows.

    Args:
        model: Left as it was.
        kept: The tokens that stay, rising.

    Raises:
        PassError: If one of them has no row.
    """
    import torch
    from torch import nn

    made: Any = copy.deepcopy(model)
    before = made.get_input_embeddings()
    if kept and kept[-1] >= before.num_embeddings:
        raise PassError(
            f"the tokenizer has a token numbered {kept[-1]}, the model only "
            f"{before.num_embeddings} rows; give the folder the tokenizer it was trained with"
        )
    rows = before.weight.detach()[torch.tensor(list(kept), dtype=torch.long)].clone()
    numbers = {old: new for new, old in enumerate(kept)}
    padding = None if before.padding_idx is None else numbers.get(before.padding_idx)
    after = nn.Embedding(len(rows), rows.shape[1], padding_idx=padding)
    after.weight = nn.Parameter(rows)
    made.set_input_embeddings(after)
    made.config.vocab_size = len(rows)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        old = getattr(made.config, name, None)
        if old is not None:
            setattr(made.config, name, numbers.get(old))
    return cast("PreTrainedModel", made.eval())


def _pieces(model: dict[str, Any]) -> dict[str, int]:
    """Returns each piece's number: WordPiece has a mapping, Unigram a list with scores."""
    if model["type"] == "Unigram":
        return {piece: number for number, (piece, _) in enumerate(model["vocab"])}
    return cast("dict[str, int]", model["vocab"])


def _renumber_pieces(model: dict[str, Any], numbers: dict[int, int]) -> None:
    """Leaves only the pieces that have a new number, in place."""
    if model["type"] == "Unigram":
        model["vocab"] = [pair for old, pair in enumerate(model["vocab"]) if old in numbers]
        model["unk_id"] = numbers[model["unk_id"] or 0]
        return
    pieces = sorted(model["vocab"].items(), key=lambda pair: pair[1])
    model["vocab"] = {piece: numbers[old] for piece, old in pieces if old in numbers}


def _plain(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    kind = plain["model"].get("type")
    if kind not in ("WordPiece", "Unigram"):
        named = "byte-level BPE" if "ByteLevel" in str(plain.get("pre_tokenizer")) else str(kind)
        raise PassError(
            f"the vocabulary of a {named} tokenizer can't be made smaller, only WordPiece's and "
            "Unigram's; leave --vocabulary out"
        )
    return plain


def _renumber(processor: Any, numbers: dict[int, int]) -> None:
    """Writes the new numbers of special tokens into a post-processor, in place."""
    if not processor:
        return
    for one in processor.get("processors", ()):
        _renumber(one, numbers)
    special = processor.get("special_tokens")
    if isinstance(special, dict):
        for token in special.values():
            token["ids"] = [numbers[old] for old in token["ids"]]
    for name in ("sep", "cls"):
        pair = processor.get(name)
        if isinstance(pair, list):
            processor[name] = [pair[0], numbers[pair[1]]]
