"""Writes a tokenizer's files: ``tokenizer.json`` as it came where the tokenizer is still that one.

The tokenizers library writes the same content in other words (older files name merges by a blank,
leave out the kind of model), and how a text was last cut or padded stays in the tokenizer; so the
text that was read is kept beside the tokenizer, and written if it still says what the tokenizer is.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_KEPT = "tokenizer_json_as_read"


def keep_file(tokenizer: PreTrainedTokenizerFast, content: bytes) -> None:
    """Notes the ``tokenizer.json`` that a tokenizer was read from."""
    vars(tokenizer)[_KEPT] = content


def refuse_pairs(tokenizer: PreTrainedTokenizerFast, why: str) -> None:
    """Notes why a tokenizer's pairs are not for its model; whoever encodes pairs looks for it."""
    vars(tokenizer)["no_pairs"] = why


def write_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes the tokenizer as it was loaded: not how it was last called, nor from where.

    Raises:
        OSError: The disk is full.
    """
    kept = vars(tokenizer).get(_KEPT)
    fresh: Any = copy.deepcopy(tokenizer)
    for name in ("is_local", "local_files_only", "name_or_path"):
        fresh.init_kwargs.pop(name, None)
    if "no_pairs" in vars(tokenizer):  # told by the segments, which the model itself is not fed
        fresh.model_input_names = [*fresh.model_input_names, "token_type_ids"]
    text = _untouched(fresh.backend_tokenizer.to_str())
    content: bytes = kept if kept and _untouched(kept.decode()) == text else text.encode()
    # The tokenizers library tells of a full disk by a bare Exception; Python says OSError.
    target = folder / "tokenizer.json"
    target.write_bytes(content)
    fresh.save_pretrained(folder)
    target.write_bytes(content)
    # Transformers 5 has a new name for a tokenizer made from a tokenizer.json; both know the old.
    settings = folder / "tokenizer_config.json"
    named = settings.read_text(encoding="utf-8")
    settings.write_text(named.replace('"TokenizersBackend"', '"PreTrainedTokenizerFast"'), "utf-8")


def _untouched(text: str) -> str:
    """Returns a tokenizer as the library writes it, when it neither cuts nor pads."""
    from tokenizers import Tokenizer

    core = Tokenizer.from_str(text)
    core.no_truncation()
    core.no_padding()
    return core.to_str()
