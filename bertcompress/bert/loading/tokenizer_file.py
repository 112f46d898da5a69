"""``tokenizer.json`` is the tokenizer: it is read by the library that defines it, as it stands.

Transformers 5 takes only the vocabulary from the file where ``tokenizer_config.json`` names a class
such as ``BertTokenizer``, and builds normalizer, words and special tokens anew from settings; 4.57
changes the normalizer to fit them. Here nothing is built anew. Where the settings say otherwise
than the file, that is told.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bertcompress.bert.loading.config_file import json_object
from bertcompress.bert.loading.tables import check_tables
from bertcompress.bert.loading.tokenizer_settings import TokenizerSettings, tokenizer_settings
from bertcompress.errors import LoadError
from bertcompress.progress import Note

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER_FILE = "tokenizer.json"
_PANIC = "PanicException"
_TRIAL_TEXTS = ("", "a", "Zo\u00eb  \u4e2d\u6587 \U0001f600 \u0e01, x1!")
_TRIALS = (
    ("do_lower_case", "A", "a"),
    ("strip_accents", "\u00e9", "e"),
    ("tokenize_chinese_chars", "\u4e2d", " \u4e2d "),
)
"""A setting, a character, and what becomes of it where the setting is on."""


def read_core(
    folder: Path, name: str, fields: Mapping[str, object], *, note: Note
) -> tuple[Tokenizer, TokenizerSettings]:
    """Reads ``tokenizer.json`` and what lies beside it, and checks them against the model.

    Args:
        folder: The model's folder.
        name: What the model was called, for messages.
        fields: What its ``config.json`` holds.
        note: Is told where the settings say otherwise than the file.

    Raises:
        LoadError: The file is no tokenizer, or does not fit the model's tables.
    """
    settings = tokenizer_settings(folder, model_type=str(fields.get("model_type")))
    core = _read_file(folder)
    contradiction = contradictions(core, settings)
    if contradiction is not None:
        note(f"{name}: {contradiction}")
    check_tables(name, core, fields)
    return core, settings


def _read_file(folder: Path) -> Tokenizer:
    """Reads a folder's ``tokenizer.json``; texts are neither cut nor padded.

    Raises:
        LoadError: It is no tokenizer.
    """
    from tokenizers import Tokenizer

    path = folder / TOKENIZER_FILE
    if not isinstance(json_object(path).get("model"), dict):
        raise LoadError(f"{path} has no model; restore it from the original")
    with native_errors(
        f"{path} can't be read",
        "restore it from the original, or install the tokenizers library that wrote it",
    ):
        core = Tokenizer.from_file(str(path))
        core.no_truncation()
        core.no_padding()
        try_out(core)
    return core


@contextmanager
def native_errors(problem: str, remedy: str) -> Iterator[None]:
    """Tells what the tokenizers library raises in the block: a bare Exception, or a Rust panic.

    A panic is a BaseException of a type that can't be imported, so it is known by its name.

    Raises:
        LoadError: Anything was raised.
    """
    try:
        yield
    except BaseException as error:
        if not (isinstance(error, Exception) or type(error).__name__ == _PANIC):
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise LoadError(f"{problem} ({first}); {remedy}") from error


def try_out(core: Tokenizer) -> None:
    """Encodes short texts, alone and as a pair: what a file names and lacks shows only here."""
    for text in _TRIAL_TEXTS:
        core.encode(text)
        core.encode(text, text)


def special_tokens(core: Tokenizer, settings: TokenizerSettings) -> dict[str, str]:
    """Returns the special token of each role; what the file has no number for is left out."""
    tokens = {**settings.default_tokens, **settings.tokens}
    return {role: token for role, token in tokens.items() if core.token_to_id(token) is not None}


def contradictions(core: Tokenizer, settings: TokenizerSettings) -> str | None:
    """Returns what the settings say otherwise than ``tokenizer.json``, None if nothing.

    What the file does is tried on a letter, an accent and a Chinese character, so it does not
    matter how it does it.
    """
    found = [*_about_normalizing(core, settings), *_about_tokens(core, settings)]
    if not found:
        return None
    return (
        f"tokenizer_config.json says otherwise than tokenizer.json, which is followed: "
        f"{'; '.join(found)}"
    )


def _about_normalizing(core: Tokenizer, settings: TokenizerSettings) -> Iterator[str]:
    """Yields the settings of BERT's kind of tokenizer that the file does not have."""
    if settings.class_name is not None and "Japanese" in settings.class_name:
        yield f"{settings.class_name} splits words by its own code, the file does not"
    if type(core.model).__name__ != "WordPiece":
        return  # other kinds carry these settings without effect
    for name, text, plain in _TRIALS:
        said = settings.claims.get(name)
        result = text if core.normalizer is None else core.normalizer.normalize_str(text)
        done = unicodedata.normalize("NFD", result) == plain
        if said is not None and said != done:
            yield f"{name} is {str(said).lower()}, the file does {'' if done else 'not '}do it"


def _about_tokens(core: Tokenizer, settings: TokenizerSettings) -> Iterator[str]:
    """Yields the tokens of the settings that the file lacks, or numbers otherwise."""
    for token, number in settings.added.items():
        in_file = core.token_to_id(token)
        if in_file is None:
            yield f"{token!r} is token {number}, the file has no such token"
        elif in_file != number:
            yield f"{token!r} is token {number}, in the file it is {in_file}"
    named = (*settings.tokens.values(), *settings.more_tokens)
    for token in dict.fromkeys(named):
        if core.token_to_id(token) is None and token not in settings.added:
            yield f"{token!r} is a special token, the file has no such token"
