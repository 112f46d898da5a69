"""The tokenizer of a saved graph, read by the tokenizers library alone.

Transformers wraps that library, and imports torch to do so. Without the wrapper the same Rust
tokenizer makes the same tokens: `tokenizer` puts into the wrapper what the file holds, no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from bertcompress.bert.loading.tokenizer_file import special_tokens
from bertcompress.bert.loading.tokenizer_settings import TokenizerSettings

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

UNTOLD_LENGTH = 10**30
"""What Transformers takes for the limit of a tokenizer that has none."""

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
        no_pairs: Why its pairs are not for the model, None if they are.
        model_max_length: The longest text that it says its model takes, tokens.
    """

    def __init__(
        self,
        core: Tokenizer,
        *,
        input_names: Sequence[str],
        pad_token: str | None,
        truncation_side: str,
        no_pairs: str | None = None,
        model_max_length: int = UNTOLD_LENGTH,
    ) -> None:
        self._core = core
        self._side = truncation_side
        self.no_pairs = no_pairs
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
    core: Tokenizer,
    settings: TokenizerSettings,
    *,
    input_names: Sequence[str],
    no_pairs: str | None = None,
) -> PlainTokenizer:
    """Returns the tokenizer of a ``tokenizer.json``.

    Args:
        core: What the file holds; it neither cuts nor pads.
        settings: What lies beside the file.
        input_names: The names of the inputs that the model takes.
        no_pairs: See `bertcompress.bert.loading.tables.why_no_pairs`.
    """
    core.encode_special_tokens = settings.split_special_tokens
    return PlainTokenizer(
        core,
        input_names=[name for name in settings.input_names if name in input_names],
        pad_token=special_tokens(core, settings).get("pad_token"),
        truncation_side=settings.truncation_side,
        no_pairs=no_pairs,
        model_max_length=settings.model_max_length or UNTOLD_LENGTH,
    )
