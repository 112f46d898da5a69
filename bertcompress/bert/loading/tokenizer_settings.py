"""What lies beside a ``tokenizer.json``: special tokens by their role, sides, inputs.

The file itself holds how a text becomes numbers; these say how the numbers are used. They are read
from JSON alone, so that they are the same with and without Transformers, and in all its versions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertcompress.artifacts.model_config import INPUT_NAMES
from bertcompress.bert.families import known_family
from bertcompress.bert.loading.config_file import json_object

ROLES = ("unk", "sep", "pad", "cls", "mask", "bos", "eos")
_BERT_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_ROBERTA_TOKENS = {
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
    "bos_token": "<s>",
    "eos_token": "</s>",
}
_CLASSES = {
    "Bert": "bert",
    "Electra": "electra",
    "DistilBert": "distilbert",
    "Roberta": "roberta",
    "XLMRoberta": "xlm-roberta",
    "Camembert": "camembert",
}
"""The tokenizer classes whose defaults are known, and the encoder whose they are."""


@dataclass(frozen=True)
class TokenizerSettings:
    """How a tokenizer's numbers are used.

    Attributes:
        class_name: The class that ``tokenizer_config.json`` names, without ``Fast``; None if none.
        tokens: The special token of each role, such as ``pad_token``, that the files name.
        default_tokens: Those that the class has where its vocabulary holds them.
        more_tokens: Further special tokens.
        input_names: What the tokenizer gives, as its settings or its class say.
        model_max_length: The longest text in tokens that its settings name, None if none.
        padding_side: Where padding goes.
        truncation_side: Where longer texts are cut.
        split_special_tokens: Whether a special token's name in a text is text.
        claims: The settings of the class about normalizing, which `tokenizer.json` may contradict.
        added: Tokens with their numbers that lie beside ``tokenizer.json``.
    """

    class_name: str | None
    tokens: Mapping[str, str]
    default_tokens: Mapping[str, str]
    more_tokens: Sequence[str]
    input_names: Sequence[str]
    model_max_length: int | None
    padding_side: str
    truncation_side: str
    split_special_tokens: bool
    claims: Mapping[str, bool]
    added: Mapping[str, int]


def tokenizer_settings(folder: Path, *, model_type: str) -> TokenizerSettings:
    """Reads a folder's tokenizer settings; what no file says is as the tokenizer's class has it.

    Args:
        folder: A model folder.
        model_type: Of its configuration, for a folder that names no tokenizer class.

    Raises:
        LoadError: A file is not JSON.
    """
    fields = _object(folder / "tokenizer_config.json")
    if "added_tokens_decoder" not in fields:  # else Transformers does not read the older file
        fields = {**fields, **_object(folder / "special_tokens_map.json")}
    named = fields.get("tokenizer_class")
    class_name = named.removesuffix("Fast") if isinstance(named, str) else None
    encoder = _encoder_of(class_name, model_type)
    defaults = {} if encoder is None else _defaults(encoder)
    names = (f"{role}_token" for role in ROLES)
    tokens = {name: _content(fields.get(name)) for name in names}
    longest = fields.get("model_max_length")
    return TokenizerSettings(
        class_name=class_name,
        tokens={name: token for name, token in tokens.items() if token is not None},
        default_tokens=defaults,
        more_tokens=_more(fields),
        input_names=_input_names(fields, encoder),
        model_max_length=int(longest) if isinstance(longest, int | float) else None,
        padding_side=_side(fields, "padding_side"),
        truncation_side=_side(fields, "truncation_side"),
        split_special_tokens=fields.get("split_special_tokens") is True,
        claims={key: value for key, value in fields.items() if isinstance(value, bool)},
        added=_added(fields, folder / "added_tokens.json"),
    )


def _object(path: Path) -> dict[str, object]:
    return json_object(path) if path.is_file() else {}


def _encoder_of(class_name: str | None, model_type: str) -> str | None:
    """Returns the encoder whose tokenizer defaults hold, None for a tokenizer of no family."""
    if class_name is not None:
        return _CLASSES.get(class_name.removesuffix("Tokenizer"))
    family = known_family(model_type)
    return family.model_type if family is not None else None


def _defaults(encoder: str) -> Mapping[str, str]:
    family = known_family(encoder)
    robertas = family is not None and family.positions_after_padding
    return _ROBERTA_TOKENS if robertas else _BERT_TOKENS


def _content(token: object) -> str | None:
    """Returns a token's text: files give it alone, or with how it is found in a text."""
    text = token.get("content") if isinstance(token, Mapping) else token
    return text if isinstance(text, str) else None


def _more(fields: Mapping[str, object]) -> tuple[str, ...]:
    """Returns the special tokens without a role, of both names that they have had."""
    texts: list[str | None] = []
    for name in ("additional_special_tokens", "extra_special_tokens"):
        found = fields.get(name)
        if isinstance(found, Mapping):
            found = [*found.values()]
        texts += [_content(token) for token in found] if isinstance(found, list) else []
    return tuple(dict.fromkeys(text for text in texts if text is not None))


def _input_names(fields: Mapping[str, object], encoder: str | None) -> tuple[str, ...]:
    found = fields.get("model_input_names")
    if isinstance(found, list):
        return tuple(name for name in found if isinstance(name, str))
    family = known_family(encoder)
    segments = family is None or (family.has_token_types and not family.positions_after_padding)
    return tuple(name for name in INPUT_NAMES if segments or name != "token_type_ids")


def _side(fields: Mapping[str, object], name: str) -> str:
    return "left" if fields.get(name) == "left" else "right"


def _added(fields: Mapping[str, object], older: Path) -> dict[str, int]:
    """Returns the tokens that were added to the vocabulary, with their numbers."""
    added: dict[str, int] = {}
    decoder = fields.get("added_tokens_decoder")
    for number, token in decoder.items() if isinstance(decoder, Mapping) else ():
        text = _content(token)
        if text is not None and str(number).isdecimal():
            added[text] = int(number)
    for text, number in _object(older).items():
        if isinstance(number, int):
            added[text] = number
    return added
