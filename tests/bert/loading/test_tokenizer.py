"""Without a tokenizer.json the vocabulary is read, or it is said what is missing."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from bertcompress.bert.loading.load import load
from bertcompress.quiet import quiet_transformers
from fixtures.loading import checkpoint, refusal


@pytest.fixture
def bare(copy_of: Callable[..., Path], tokenizer: PreTrainedTokenizerFast) -> Callable[..., Path]:
    """Gives a function that returns a folder whose tokenizer is these files."""

    def make(files: dict[str, str], **settings: object) -> Path:
        folder = copy_of()
        for file in folder.glob("tokenizer*"):
            file.unlink()
        for name, content in files.items():
            (folder / name).write_text(content)
        if settings:
            (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        return folder

    return make


@pytest.fixture
def pieces(tokenizer: PreTrainedTokenizerFast) -> str:
    vocabulary = tokenizer.get_vocab()
    return "\n".join([*sorted(vocabulary, key=lambda piece: vocabulary[piece]), ""])


@pytest.mark.parametrize(
    "settings", [{}, {"do_lower_case": False}, {"tokenizer_class": "BertTokenizer"}]
)
def test_a_vocabulary_alone_gives_the_tokens_of_its_class(
    settings: dict[str, object], bare: Callable[..., Path], pieces: str
) -> None:
    folder = bare({"vocab.txt": pieces}, **settings)
    texts = ["The good film", "Caf\u00e9 \u4e2d\u6587", "[MASK] a"]
    with quiet_transformers():
        judge = AutoTokenizer.from_pretrained(str(folder))

    tokenizer = checkpoint(folder).tokenizer

    assert tokenizer(texts)["input_ids"] == judge(texts)["input_ids"]
    assert tokenizer.pad_token_id == 0


@pytest.mark.parametrize(
    ("files", "settings", "sentence"),
    [
        ({}, {}, "copy it from the original"),
        ({"merges.txt": "#version: 0.2\n"}, {}, "but merges.txt alone"),
        ({"vocab.json": "{}"}, {}, "has vocab.json and lacks merges.txt"),
        (
            {"vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"},
            {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab"},
            "take a model whose folder has a tokenizer.json",
        ),
        (
            {"vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"},
            {"tokenizer_class": "RobertaTokenizer"},
            "RobertaTokenizer",
        ),
    ],
)
def test_what_is_missing_is_said(
    files: dict[str, str],
    settings: dict[str, object],
    sentence: str,
    bare: Callable[..., Path],
) -> None:
    assert sentence in refusal(lambda: load(bare(files, **settings)))


@pytest.mark.skipif(
    importlib.util.find_spec("sentencepiece") is not None, reason="sentencepiece is installed"
)
def test_a_sentencepiece_model_alone_needs_its_library(bare: Callable[..., Path]) -> None:
    assert "type: pip install sentencepiece" in refusal(
        lambda: load(bare({"sentencepiece.bpe.model": ""}, tokenizer_class="XLMRobertaTokenizer"))
    )


def test_special_names_in_a_text_are_text_where_the_settings_say_so(
    copy_of: Callable[..., Path],
) -> None:
    folder = copy_of()
    path = folder / "tokenizer_config.json"
    with_names = checkpoint(folder).tokenizer("[MASK]")["input_ids"]
    path.write_text(json.dumps({**json.loads(path.read_text()), "split_special_tokens": True}))

    assert len(with_names) == 3
    assert len(checkpoint(folder).tokenizer("[MASK]")["input_ids"]) > 3
