"""The tokenizer of a saved graph, read by the tokenizers library alone.

Transformers wraps that library, and imports torch to do so. Without the wrapper the same Rust
tokenizer makes the same tokens, if the file holds the very tokenizer that Transformers would build.
It builds BERT's from the vocabulary and a few settings, and takes a tokenizer of no family
(``PreTrainedTokenizerFast``) as the file has it; so a file is read here only if each of its parts
is one that Transformers would have put there (`plain_tokenizer` gives None otherwise).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from bertcompress.bert.loading.locate import json_object

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

_BERT_SPECIALS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_BERT_CLASSES = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer")
_BERT_TYPES = ("bert", "distilbert", "electra")
_AS_IN_THE_FILE = ("PreTrainedTokenizerFast", "TokenizersBackend")
_MORE_FILES = ("added_tokens.json", "special_tokens_map.json", "vocab.txt")
_UNUSUAL = (
    *("additional_special_tokens", "auto_map", "extra_special_tokens"),
    *("model_specific_special_tokens", "split_special_tokens"),
)
UNTOLD_LENGTH = 10**30
"""What Transformers takes for the limit of a tokenizer that has none."""
_MOST_ENTRIES = 100_000
"""Transformers looks for a mistake of Mistral's in larger vocabularies."""

Truncation = Literal["longest_first", "only_first", "only_second"]


class PlainEncoding(Mapping[str, Any]):
    """What texts became: for each name a list of rows, as Transformers' ``BatchEncoding``."""

    def __init__(self, rows: Mapping[str, list[Any]], encodings: Sequence[Encoding]) -> None:
        self._rows = rows
        self._encodings = encodings

    def __getitem__(self, name: str) -> list[Any]:
        return self._rows[name]

    def __iter__(self) -> Any:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def encodings(self) -> Sequence[Encoding]:
        """What the tokenizers library made, by row."""
        return self._encodings

    def word_ids(self, row: int) -> list[int | None]:
        """Returns the word that each token of a row is of, None for special tokens."""
        return list(self._encodings[row].word_ids)

    def sequence_ids(self, row: int) -> list[int | None]:
        """Returns the text of the pair that each token of a row is of."""
        return list(self._encodings[row].sequence_ids)


class PlainTokenizer:
    """Calls the tokenizers library as Transformers does.

    Args:
        core: The library's tokenizer, which neither truncates nor pads.
        input_names: What a row holds, of ``input_ids``, ``attention_mask`` and ``token_type_ids``.
        pad_token: What texts are padded with.
        truncation_side: Where longer texts are cut.
        model_max_length: The longest text that it says its model takes, tokens.
    """

    def __init__(
        self,
        core: Tokenizer,
        *,
        input_names: Sequence[str],
        pad_token: str | None,
        truncation_side: str,
        model_max_length: int = UNTOLD_LENGTH,
    ) -> None:
        self._core = core
        self._side = truncation_side
        self.model_max_length = model_max_length
        self.model_input_names = list(input_names)
        self.pad_token_id = None if pad_token is None else core.token_to_id(pad_token)

    @property
    def backend_tokenizer(self) -> Tokenizer:
        """The library's own tokenizer."""
        return self._core

    def __call__(
        self,
        text: Sequence[str] | Sequence[Sequence[str]],
        text_pair: Sequence[str] | Sequence[Sequence[str]] | None = None,
        *,
        truncation: bool | Truncation = False,
        max_length: int | None = None,
        stride: int = 0,
        padding: Literal[False] = False,
        add_special_tokens: bool = True,
        is_split_into_words: bool = False,
        return_overflowing_tokens: bool = False,
        return_offsets_mapping: bool = False,
    ) -> PlainEncoding:
        """Encodes texts, or pairs of texts; see ``PreTrainedTokenizerFast.__call__``.

        Args:
            text: The texts; or lists of words, with `is_split_into_words`.
            text_pair: The second of each pair.
            truncation: Whether longer ones are cut, and which of a pair; the longer if True.
            max_length: Where they are cut, tokens.
            stride: How far windows overlap, tokens.
            padding: Never; see `bertcompress.tasks.pad`.
            add_special_tokens: Whether the special tokens are put around.
            is_split_into_words: Whether texts are lists of words.
            return_overflowing_tokens: Whether what was cut away becomes more rows.
            return_offsets_mapping: Whether rows tell the characters of each token.
        """
        self._truncate(truncation, max_length, stride)
        given: Sequence[Any] = text if text_pair is None else [*zip(text, text_pair, strict=True)]
        encoded = self._core.encode_batch(
            given, is_pretokenized=is_split_into_words, add_special_tokens=add_special_tokens
        )
        windows = [
            (number, window)
            for number, first in enumerate(encoded)
            for window in (first, *(first.overflowing if return_overflowing_tokens else ()))
        ]
        rows: dict[str, list[Any]] = {"input_ids": [window.ids for _, window in windows]}
        if "token_type_ids" in self.model_input_names:
            rows["token_type_ids"] = [window.type_ids for _, window in windows]
        if "attention_mask" in self.model_input_names:
            rows["attention_mask"] = [window.attention_mask for _, window in windows]
        if return_offsets_mapping:
            rows["offset_mapping"] = [window.offsets for _, window in windows]
        if return_overflowing_tokens:
            rows["overflow_to_sample_mapping"] = [number for number, _ in windows]
        return PlainEncoding(rows, [window for _, window in windows])

    def _truncate(self, how: bool | Truncation, max_length: int | None, stride: int) -> None:
        if how is False or max_length is None:
            self._core.no_truncation()
            return
        strategy = "longest_first" if how is True else how
        self._core.enable_truncation(
            max_length, stride=stride, strategy=strategy, direction=self._side
        )


def plain_tokenizer(
    folder: Path, *, model_type: str, input_names: Sequence[str]
) -> PlainTokenizer | None:
    """Reads a folder's tokenizer, None where Transformers might build another one.

    Args:
        folder: An artifact folder.
        model_type: Of its configuration.
        input_names: The names of the inputs that its model takes.

    Raises:
        LoadError: A file is not JSON.
    """
    core, setup = folder / "tokenizer.json", folder / "tokenizer_config.json"
    if not (core.is_file() and setup.is_file()):
        return None
    if any((folder / name).exists() for name in _MORE_FILES):
        return None
    settings = cast("dict[str, Any]", json_object(setup))
    if not _is_as_built(json_object(core), settings, model_type):
        return None
    from tokenizers import Tokenizer

    named = settings.get("model_input_names", ["input_ids", "token_type_ids", "attention_mask"])
    return PlainTokenizer(
        Tokenizer.from_file(str(core)),
        input_names=[name for name in named if name in input_names],
        pad_token=_specials(settings).get("pad_token"),
        truncation_side=settings.get("truncation_side", "right"),
        model_max_length=int(settings.get("model_max_length") or UNTOLD_LENGTH),
    )


def _is_as_built(content: Mapping[str, Any], settings: Mapping[str, Any], model_type: str) -> bool:
    """Whether Transformers makes of the two files what the first one holds."""
    if content.get("truncation") or content.get("padding") or not content.get("post_processor"):
        return False
    if any(settings.get(name) for name in _UNUSUAL) or "added_tokens_decoder" in settings:
        return False
    model = content.get("model")
    if not isinstance(model, Mapping) or len(model.get("vocab", ())) > _MOST_ENTRIES:
        return False
    if "ByteLevel" in str(content.get("pre_tokenizer")):
        return False  # Transformers may tell it to put a space first
    specials, built_as = _specials(settings), settings.get("tokenizer_class", "")
    if built_as in _AS_IN_THE_FILE:
        return _are_added(content, [*specials.values()])
    if built_as.removesuffix("Fast") not in _BERT_CLASSES or model_type not in _BERT_TYPES:
        return False
    specials = {**_BERT_SPECIALS, **specials}
    return _are_added(content, [*specials.values()]) and _is_berts(content, settings, specials)


def _specials(settings: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: token["content"] if isinstance(token, Mapping) else token
        for name, token in settings.items()
        if name.endswith("_token") and isinstance(token, str | Mapping)
    }


def _are_added(content: Mapping[str, Any], specials: Sequence[str]) -> bool:
    """Whether exactly the special tokens are marked as such, so that none will be added."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    marked = {
        token["content"]
        for token in content.get("added_tokens", ())
        if token == {**plain, "special": True, "id": token["id"], "content": token["content"]}
    }
    return marked == set(specials) and len(content["added_tokens"]) == len(marked)


def _is_berts(
    content: Mapping[str, Any], settings: Mapping[str, Any], specials: Mapping[str, str]
) -> bool:
    """Whether each part is that of Transformers' ``BertTokenizer`` with these settings."""
    model, vocabulary = content["model"], content["model"].get("vocab")
    if not isinstance(vocabulary, Mapping) or not set(specials.values()) <= set(vocabulary):
        return False
    first, last = specials["cls_token"], specials["sep_token"]
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": settings.get("tokenize_chinese_chars", True),
        "strip_accents": settings.get("strip_accents"),
        "lowercase": settings.get("do_lower_case", True),
    }
    pieces = {
        "type": "WordPiece",
        "unk_token": specials["unk_token"],
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
    }
    return (
        all(vocabulary[token["content"]] == token["id"] for token in content["added_tokens"])
        and content.get("normalizer") == normalizer
        and content.get("pre_tokenizer") == {"type": "BertPreTokenizer"}
        and {name: part for name, part in model.items() if name != "vocab"} == pieces
        and content["post_processor"] == _template(first, last, vocabulary)
    )


def _template(first: str, last: str, vocabulary: Mapping[str, int]) -> dict[str, Any]:
    """Returns ``[CLS] A [SEP]`` and ``[CLS] A [SEP] B [SEP]`` as the file spells them."""

    def special(token: str, kind: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": token, "type_id": kind}}

    def text(name: str, kind: int) -> dict[str, Any]:
        return {"Sequence": {"id": name, "type_id": kind}}

    single = [special(first, 0), text("A", 0), special(last, 0)]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, text("B", 1), special(last, 1)],
        "special_tokens": {
            token: {"id": token, "ids": [vocabulary[token]], "tokens": [token]}
            for token in (first, last)
        },
    }
