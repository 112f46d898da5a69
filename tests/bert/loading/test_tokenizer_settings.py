"""What lies beside a tokenizer.json is read from JSON as Transformers reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertcompress.bert.loading.tokenizer_settings import TokenizerSettings, tokenizer_settings


def settings(folder: Path, model_type: str = "bert", **files: object) -> TokenizerSettings:
    """Returns the settings in files that are named without their ending."""
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return tokenizer_settings(folder, model_type=model_type)


def test_the_older_file_of_special_tokens_is_read_unless_the_newer_has_all(tmp_path: Path) -> None:
    older = {"pad_token": {"content": "<p>", "lstrip": False}}

    found = settings(tmp_path, special_tokens_map=older, tokenizer_config={"pad_token": "[PAD]"})
    assert found.tokens == {"pad_token": "<p>"}

    newer = {"pad_token": "[PAD]", "added_tokens_decoder": {"0": {"content": "[PAD]"}}}
    found = settings(tmp_path, tokenizer_config=newer)
    assert (found.tokens, found.added) == ({"pad_token": "[PAD]"}, {"[PAD]": 0})


@pytest.mark.parametrize(
    ("class_name", "model_type", "pad", "segments"),
    [
        ("BertTokenizerFast", "roberta", "[PAD]", True),
        ("RobertaTokenizer", "bert", "<pad>", False),
        ("DistilBertTokenizer", "bert", "[PAD]", False),
        ("PreTrainedTokenizerFast", "bert", None, True),
        (None, "xlm-roberta", "<pad>", False),
        (None, "electra", "[PAD]", True),
    ],
)
def test_what_no_file_says_is_as_the_class_has_it(
    class_name: str | None, model_type: str, pad: str | None, segments: bool, tmp_path: Path
) -> None:
    content = {} if class_name is None else {"tokenizer_class": class_name}
    found = settings(tmp_path, model_type, tokenizer_config=content)

    assert found.default_tokens.get("pad_token") == pad
    assert ("token_type_ids" in found.input_names) == segments


def test_further_special_tokens_have_had_two_names(tmp_path: Path) -> None:
    content = {
        "additional_special_tokens": ["<a>", {"content": "<b>"}],
        "extra_special_tokens": {"image_token": "<c>"},
        "truncation_side": "left",
        "model_max_length": 1e30,
        "split_special_tokens": True,
    }
    found = settings(tmp_path, tokenizer_config=content, added_tokens={"<a>": 60})

    assert found.more_tokens == ("<a>", "<b>", "<c>")
    assert (found.truncation_side, found.padding_side) == ("left", "right")
    assert found.model_max_length == int(1e30)
    assert found.split_special_tokens
    assert found.added == {"<a>": 60}
