"""What settings say otherwise than tokenizer.json is told in one sentence, once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertcompress.bert.loading.load import load
from fixtures.loading import refusal


@pytest.fixture
def notes_of(copy_of: Callable[..., Path]) -> Callable[..., list[str]]:
    """Gives a function that loads a folder with these settings and returns what it is told."""

    def run(core: dict[str, Any] | None = None, **settings: object) -> list[str]:
        folder = copy_of()
        for name, more in (("tokenizer.json", core or {}), ("tokenizer_config.json", settings)):
            content = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps({**content, **more}))
        told: list[str] = []
        load(folder, note=told.append)
        return told

    return run


CASED = {"normalizer": {"type": "BertNormalizer", "lowercase": False, "clean_text": True}}


@pytest.mark.parametrize(
    ("core", "settings", "sentence"),
    [
        ({}, {"do_lower_case": False}, "do_lower_case is false, the file does do it"),
        ({"normalizer": None}, {"do_lower_case": True}, "true, the file does not do it"),
        ({}, {"strip_accents": False}, "strip_accents is false, the file does do it"),
        ({}, {"tokenize_chinese_chars": False}, "tokenize_chinese_chars is false"),
        ({}, {"sep_token": "<end>"}, "'<end>' is a special token, the file has no such token"),
        ({}, {"added_tokens_decoder": {"4": {"content": "<a>"}}}, "'<a>' is token 4, the file has"),
        ({}, {"added_tokens_decoder": {"4": {"content": "[PAD]"}}}, "in the file it is 0"),
        ({}, {"tokenizer_class": "BertJapaneseTokenizer"}, "splits words by its own code"),
    ],
)
def test_a_contradiction_is_told_in_one_note(
    core: dict[str, Any],
    settings: dict[str, Any],
    sentence: str,
    notes_of: Callable[..., list[str]],
) -> None:
    told = notes_of(core, **settings)

    assert len(told) == 1
    assert "says otherwise than tokenizer.json, which is followed: " in told[0]
    assert sentence in told[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True},
        {"tokenizer_class": "BertTokenizerFast", "unk_token": "[UNK]"},
    ],
)
def test_settings_that_agree_are_not_told(
    settings: dict[str, Any], notes_of: Callable[..., list[str]]
) -> None:
    assert notes_of(None, **settings) == []


def test_a_file_of_a_newer_library_is_refused(copy_of: Callable[..., Path]) -> None:
    folder = copy_of()
    content = json.loads((folder / "tokenizer.json").read_text())
    content["pre_tokenizer"] = {"type": "OfTheFuture"}
    (folder / "tokenizer.json").write_text(json.dumps(content))

    assert "or install the tokenizers library that wrote it" in refusal(lambda: load(folder))


def test_a_panic_of_the_library_is_told(tiny_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder(), folder)
    plain = json.loads((folder / "tokenizer.json").read_text())
    plain["post_processor"]["single"] = [{"SpecialToken": {"id": "[NONE]", "type_id": 0}}]
    (folder / "tokenizer.json").write_text(json.dumps(plain))

    message = refusal(lambda: load(folder))

    assert "tokenizer.json can't be read" in message
    assert "restore it from the original" in message
