"""What a cross-encoder's files say; the border tests compare with `CrossEncoder.predict`."""

from __future__ import annotations

import json

import pytest
from transformers import BertConfig

from bertcompress.errors import LoadError
from bertcompress.tasks.cross_encoder import CrossEncoderSettings, read_cross_encoder
from bertcompress.tasks.transformer_settings import TransformerSettings

RELU = "torch.nn.modules.activation.ReLU"


def folder(*modules: str, **fields: object) -> dict[str, bytes]:
    entries = [{"type": f"sentence_transformers.models.{kind}", "path": ""} for kind in modules]
    model = {"model_type": "CrossEncoder", **fields}
    return {
        "modules.json": json.dumps(entries).encode(),
        "config_sentence_transformers.json": json.dumps(model).encode(),
        "sentence_bert_config.json": json.dumps(
            {"transformer_task": "sequence-classification", "max_seq_length": 9}
        ).encode(),
    }


@pytest.mark.parametrize(
    ("fields", "activation", "limit"),
    [
        ({}, "Sigmoid", None),
        ({"problem_type": "regression"}, None, 512),
        ({"sentence_transformers": {"activation_fn": RELU}}, "ReLU", None),
        ({"sbert_ce_default_activation_function": "torch.nn.Tanh"}, "Tanh", None),
        (
            {"sbert_ce_default_activation_function": RELU, "problem_type": "regression"},
            "ReLU",
            None,
        ),
    ],
)
def test_config_json_says_the_activation(
    fields: dict[str, object], activation: str | None, limit: int | None
) -> None:
    settings = read_cross_encoder(BertConfig(num_labels=1, **fields), {})

    assert settings == CrossEncoderSettings(activation, TransformerSettings(limit))


def test_the_folder_says_it_first() -> None:
    config = BertConfig(num_labels=1, sbert_ce_default_activation_function="torch.nn.Tanh")

    settings = read_cross_encoder(config, folder("Transformer", activation_fn=RELU))

    assert (settings.activation, settings.texts.max_length) == ("ReLU", 9)


def test_files_of_an_embedding_say_nothing_of_a_classifier() -> None:
    files = {**folder("Transformer", "Pooling"), "config_sentence_transformers.json": b"{}"}

    assert read_cross_encoder(BertConfig(num_labels=1), files).activation == "Sigmoid"


@pytest.mark.parametrize(
    ("files", "fields", "sentence"),
    [
        (folder("Transformer", "LogitScore"), {}, "modules.json has the module .*LogitScore"),
        (folder("Transformer", activation_fn="my.Code"), {}, "json names the activation 'my.Code'"),
        ({}, {"sbert_ce_default_activation_function": "f"}, "config.json names the activation 'f'"),
    ],
)
def test_what_is_not_known_is_refused_by_name(
    files: dict[str, bytes], fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(LoadError, match=sentence):
        read_cross_encoder(BertConfig(num_labels=1, **fields), files)
