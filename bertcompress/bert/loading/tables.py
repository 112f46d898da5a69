"""Whether a tokenizer's numbers have rows in the model's tables.

A number without a row is an index error inside a runtime at best, and another token's row at worst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bertcompress.bert.loading.tokenizer_settings import TokenizerSettings
from bertcompress.errors import LoadError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def check_tables(name: str, core: Tokenizer, fields: Mapping[str, object]) -> None:
    """Fails where the tokenizer gives a number that the table of tokens has no row for.

    Args:
        name: What the model was called, for messages.
        core: Its tokenizer.
        fields: What ``config.json`` holds.

    Raises:
        LoadError: The last token has a number that is not in the table.
    """
    rows = fields.get("vocab_size")
    if not isinstance(rows, int):
        return
    token, number = max(core.get_vocab(with_added_tokens=True).items(), key=lambda pair: pair[1])
    if number >= rows:
        raise LoadError(
            f"the tokenizer of {name} gives {token!r} the number {number}, and the model's table "
            f"of tokens has {rows} rows, the last is {rows - 1} (vocab_size in config.json); "
            "copy the tokenizer that the model was trained with"
        )


def why_no_pairs(
    name: str, core: Tokenizer, settings: TokenizerSettings, fields: Mapping[str, object]
) -> str | None:
    """Returns why the model can't take two texts at once, None if it can.

    Args:
        name: What the model was called.
        core: Its tokenizer.
        settings: Whether segments are among what it gives.
        fields: What ``config.json`` holds.
    """
    rows = fields.get("type_vocab_size")
    last = max(core.encode("a", "a").type_ids, default=0)
    fed = "token_type_ids" in settings.input_names
    if not (fed and isinstance(rows, int) and 0 < rows <= last):
        return None
    return (
        f"the tokenizer of {name} numbers the second text of a pair {last}, and the model's table "
        f"of segments has {rows} row (type_vocab_size in config.json); give single texts, or a "
        "model that was trained on pairs"
    )
