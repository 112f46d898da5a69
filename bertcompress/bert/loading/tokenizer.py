"""Reads a folder's tokenizer into Transformers' wrapper, without a class that rebuilds it.

With a ``tokenizer.json`` the wrapper holds what the file holds, see `tokenizer_file`. Without one
Transformers makes a tokenizer of what there is: ``vocab.txt``, ``vocab.json`` with ``merges.txt``,
or a SentencePiece model.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bertcompress.artifacts.tokenizer_files import keep_file, refuse_pairs
from bertcompress.bert.families import input_names
from bertcompress.bert.loading.tables import check_tables, why_no_pairs
from bertcompress.bert.loading.tokenizer_file import (
    TOKENIZER_FILE,
    native_errors,
    read_core,
    special_tokens,
    try_out,
)
from bertcompress.bert.loading.tokenizer_settings import TokenizerSettings, tokenizer_settings
from bertcompress.errors import LoadError
from bertcompress.progress import Note
from bertcompress.quiet import quiet_transformers

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

_VOCABULARIES = {
    "vocab.txt": "WordPiece",
    "vocab.json": "BPE",
    "sentencepiece.bpe.model": "Unigram",
    "spiece.model": "Unigram",
}
"""Files that a tokenizer is made of where there is no ``tokenizer.json``, and what it is then."""


def read_tokenizer(
    folder: Path, name: str, config: PreTrainedConfig, *, note: Note
) -> PreTrainedTokenizerFast:
    """Reads a tokenizer, which gives the inputs that the model takes and no others.

    Args:
        folder: The model's folder.
        name: What the model was called, for messages.
        config: Its configuration.
        note: Is told where the settings say otherwise than ``tokenizer.json``.

    Raises:
        LoadError: If there is none, it can't be read, or it does not fit the model's tables.
    """
    path = folder / TOKENIZER_FILE
    fields = config.to_dict()
    if path.is_file():
        core, settings = read_core(folder, name, fields, note=note)
    else:
        settings = tokenizer_settings(folder, model_type=config.model_type)
        core = _made_of_vocabulary(folder, name, config, settings)
        check_tables(name, core, fields)
    tokenizer = _wrapped(core, settings, input_names(config))
    if path.is_file():
        keep_file(tokenizer, path.read_bytes())
    if (why := why_no_pairs(name, core, settings, fields)) is not None:
        refuse_pairs(tokenizer, why)
    return tokenizer


def _wrapped(
    core: Tokenizer, settings: TokenizerSettings, taken: tuple[str, ...]
) -> PreTrainedTokenizerFast:
    from transformers import PreTrainedTokenizerFast

    options: dict[str, Any] = {
        **special_tokens(core, settings),
        "model_input_names": [name for name in settings.input_names if name in taken],
        "padding_side": settings.padding_side,
        "truncation_side": settings.truncation_side,
    }
    if settings.model_max_length is not None:
        options["model_max_length"] = settings.model_max_length
    if settings.split_special_tokens:
        options["split_special_tokens"] = True
    if (spaced := getattr(core.pre_tokenizer, "add_prefix_space", None)) is not None:
        options["add_prefix_space"] = spaced  # 4.57 would set it to false
    with quiet_transformers():
        wrapper: Any = PreTrainedTokenizerFast(tokenizer_object=core, **options)
    # The wrapper may have added tokens to its copy, or ends where the file has none.
    core.encode_special_tokens = settings.split_special_tokens
    wrapper._tokenizer = core
    return cast("PreTrainedTokenizerFast", wrapper)


def _made_of_vocabulary(
    folder: Path, name: str, config: PreTrainedConfig, settings: TokenizerSettings
) -> Tokenizer:
    """Returns what Transformers makes of a vocabulary.

    Raises:
        LoadError: There is none, or it takes code or a library that is not there.
    """
    from transformers import AutoTokenizer

    files = [file for file in _VOCABULARIES if (folder / file).is_file()]
    _check_files(folder, name, files, settings)
    refused = (
        f"{name} has {' and '.join(files)}, of which the tokenizer class "
        f"{settings.class_name or f'of {config.model_type}'} makes no fast tokenizer"
    )
    remedy = "copy its tokenizer.json, or the class's own vocabulary, from the original"
    with native_errors(refused, remedy), quiet_transformers():
        built: Any = AutoTokenizer.from_pretrained(
            str(folder), config=config, use_fast=True, trust_remote_code=False
        )
    core: Tokenizer | None = built.backend_tokenizer if built.is_fast else None
    if core is None or type(core.model).__name__ not in {_VOCABULARIES[file] for file in files}:
        raise LoadError(f"{refused}; {remedy}")
    core.no_truncation()
    core.no_padding()
    with native_errors(refused, remedy):
        try_out(core)
    return core


def _check_files(folder: Path, name: str, files: list[str], settings: TokenizerSettings) -> None:
    if settings.class_name is not None and "Japanese" in settings.class_name:
        raise LoadError(
            f"the tokenizer of {name} splits words by code that no tokenizer.json can hold "
            f"({settings.class_name}), which bertcompress can't export or serve; "
            "take a model whose folder has a tokenizer.json"
        )
    if not files:
        found = ", but merges.txt alone" if (folder / "merges.txt").is_file() else ""
        raise LoadError(
            f"{name} has no tokenizer (tokenizer.json or vocab.txt), nor vocab.json with "
            f"merges.txt or a SentencePiece model{found}; copy it from the original"
        )
    if files == ["vocab.json"] and not (folder / "merges.txt").is_file():
        raise LoadError(
            f"{name} has vocab.json and lacks merges.txt, which belongs to it; "
            "copy it from the original"
        )
    needed = [file for file in files if file.endswith(".model")]
    libraries = {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}
    missing = [pip for module, pip in libraries.items() if not _is_installed(module)]
    if needed == files and missing:
        raise LoadError(
            f"{name} has {needed[0]} and no tokenizer.json, and making one needs "
            f"{' and '.join(missing)}; type: pip install {' '.join(missing)}"
        )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
