"""Makes a vocabulary smaller: tokenizer, embedding table and configuration together.

WordPiece takes the longest piece that fits, so leaving out pieces that a text does not use changes
nothing about how it is split. All special tokens stay, and so do all pieces of one character: any
text that could be encoded before still can be, in more and shorter pieces.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import PassError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def count_tokens(rows: Iterable[NDArray[np.int64]], *, vocabulary: int) -> NDArray[np.int64]:
    """Returns how often each token occurs, int64 ``[vocabulary]``."""
    counts = np.zeros(vocabulary, dtype=np.int64)
    for row in rows:
        counts += np.bincount(row, minlength=vocabulary)[:vocabulary]
    return counts


def always_kept(tokenizer: PreTrainedTokenizerFast) -> set[int]:
    """Returns the tokens that no vocabulary may lack: special ones, and single characters."""
    prefix = str(_plain(tokenizer)["model"].get("continuing_subword_prefix", "##"))
    singles = {
        number
        for word, number in tokenizer.get_vocab().items()
        if len(word.removeprefix(prefix)) == 1
    }
    return singles | set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)


def smaller_tokenizer(
    tokenizer: PreTrainedTokenizerFast, kept: Sequence[int]
) -> PreTrainedTokenizerFast:
    """Returns a tokenizer that knows only these tokens, numbered in the given order.

    Args:
        tokenizer: A WordPiece tokenizer; left as it was.
        kept: Rising; with all of `always_kept`.

    Raises:
        PassError: If it is no WordPiece tokenizer, or a token that it needs is missing.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast as Fast

    missing = always_kept(tokenizer) - set(kept)
    if missing:
        some = tokenizer.convert_ids_to_tokens(sorted(missing)[:3])
        raise PassError(f"a vocabulary needs {', '.join(map(str, some))} and its like")
    numbers = {old: new for new, old in enumerate(kept)}
    plain = _plain(tokenizer)
    words = sorted(plain["model"]["vocab"].items(), key=lambda pair: pair[1])
    plain["model"]["vocab"] = {word: numbers[old] for word, old in words if old in numbers}
    for token in plain["added_tokens"]:
        token["id"] = numbers[token["id"]]
    _renumber(plain.get("post_processor"), numbers)
    if plain.get("padding"):
        plain["padding"]["pad_id"] = numbers[plain["padding"]["pad_id"]]
    return Fast(  # type: ignore[no-untyped-call]  # Transformers has no types here
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
    """
    import torch
    from torch import nn

    made: Any = copy.deepcopy(model)
    before = made.get_input_embeddings()
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


def _plain(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    kind = plain["model"].get("type")
    if kind != "WordPiece":
        raise PassError(
            f"the vocabulary of a {kind} tokenizer can't be made smaller, only WordPiece's"
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
