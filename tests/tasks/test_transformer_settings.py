"""What stands before the Transformer; the border tests compare with the library."""

from __future__ import annotations

import json

import pytest

from bertcompress.errors import LoadError
from bertcompress.tasks.transformer_settings import TransformerSettings, read_transformer


def read(settings: object, model: object | None = None) -> TransformerSettings:
    files = {"modules.json": b"[]", "sentence_bert_config.json": json.dumps(settings).encode()}
    if model is not None:
        files["config_sentence_transformers.json"] = json.dumps(model).encode()
    return read_transformer(files, task="feature-extraction", model_type="SentenceTransformer")


def test_what_is_known_is_read() -> None:
    model = {"prompts": {"q": "ask: ", "p": None}, "default_prompt_name": "q", "truncate_dim": 9}

    assert read({"max_seq_length": 7, "do_lower_case": True}, model) == TransformerSettings(
        7, lower_case=True, prompt="ask: ", truncate_dim=9
    )


@pytest.mark.parametrize("name", ["query", "p", None])
def test_a_prompt_may_be_empty(name: str | None) -> None:
    assert read({}, {"prompts": {"p": None}, "default_prompt_name": name}).prompt == ""


def test_without_modules_nothing_is_read() -> None:
    files = {"sentence_bert_config.json": b'{"max_seq_length": 7}'}

    assert read_transformer(files, task="feature-extraction", model_type="") == (
        TransformerSettings()
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"unpad_inputs": True, "query_length": None, "processing_kwargs": {}},
        {"model_kwargs": {"attn_implementation": "eager"}, "tokenizer_args": {}},
        {"transformer_task": "feature-extraction", "module_output_name": "token_embeddings"},
    ],
)
def test_what_changes_nothing_is_passed_over(settings: object) -> None:
    assert read(settings) == TransformerSettings()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_seq_length": 0}, "max_seq_length 0, which must be"),
        ({"max_seq_length": "512"}, "max_seq_length '512'"),
        ({"transformer_task": "fill-mask"}, "asks for transformer_task 'fill-mask'"),
        ({"module_output_name": "sentence_embedding"}, "asks for module_output_name"),
        ({"processing_kwargs": {"text": {"max_length": 3}}}, "asks for processing_kwargs"),
        ({"query_expansion": {"length": 32}}, "asks for query_expansion"),
        ({"model_args": {"dtype": "float16"}}, "asks for model_args.dtype 'float16'"),
        ({"processor_kwargs": {"model_max_length": 9}}, "processor_kwargs.model_max_length 9"),
        ({"tokenizer_name_or_path": "other"}, "asks for tokenizer_name_or_path 'other'"),
        ({"something_new": 1}, "asks for something_new 1"),
    ],
)
def test_what_would_change_vectors_is_refused_by_name(settings: object, sentence: str) -> None:
    with pytest.raises(LoadError, match=f"sentence_bert_config.json .*{sentence}"):
        read(settings)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({"model_type": "SparseEncoder"}, "says that this is a SparseEncoder"),
        ({"default_prompt_name": "gone"}, "default_prompt_name 'gone' and prompts query, document"),
        ({"truncate_dim": -1}, "truncate_dim -1"),
    ],
)
def test_other_models_are_refused(model: object, sentence: str) -> None:
    with pytest.raises(LoadError, match=f"config_sentence_transformers.json .*{sentence}"):
        read({}, model)
