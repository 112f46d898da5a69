"""A tiny tokenizer for the task tests; the real models through `shared`."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

_WORDS = ("good", "bad", "film", "the", "a", "is", "not", "berlin", "anna", "lives", "in", "who")


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    pieces = [f"##{letter}" for letter in (*string.ascii_lowercase, *string.digits)]
    vocabulary = {word: at for at, word in enumerate([*special, *letters, *pieces, *_WORDS])}
    core = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # Transformers has no types here
        tokenizer_object=core,
        model_max_length=512,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


@pytest.fixture
def shared() -> Path:
    named = os.environ.get("BERTCOMPRESS_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[2].parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder of real models and data beside the checkout")
    return folder
