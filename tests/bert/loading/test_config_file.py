"""Numbers of a ``config.json`` that no model can have are refused before anything is built."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bertcompress.bert.loading.config_file import json_object, read_config, read_fields
from bertcompress.bert.loading.load import load
from fixtures.loading import refusal


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vocab_size", "97"),
        ("vocab_size", 0),
        ("vocab_size", True),
        ("hidden_size", 32.5),
        ("num_hidden_layers", -1),
        ("num_hidden_layers", 10**9),
        ("num_attention_heads", 0),
        ("intermediate_size", [64]),
        ("max_position_embeddings", 2**31),
        ("pad_token_id", -1),
        ("num_labels", 10**9),
        ("architectures", "BertForSequenceClassification"),
        ("architectures", [1]),
        ("layer_heads", {"0": 1}),
        ("layer_ffn", [1, "2"]),
    ],
)
def test_numbers_that_cannot_be_meant(
    copy_of: Callable[..., Path], field: str, value: object
) -> None:
    folder = copy_of()
    _write(folder, {**_fields(folder), field: value})

    assert f"config.json has {field} " in refusal(lambda: load(folder))


def test_a_text_needs_a_position(copy_of: Callable[..., Path]) -> None:
    folder = copy_of()
    roberta = {"model_type": "roberta", "max_position_embeddings": 4, "pad_token_id": 3}
    _write(folder, {**_fields(folder), **roberta})

    assert "leaves no position for a text" in refusal(lambda: load(folder))


def test_what_is_missing_is_left_to_transformers(tmp_path: Path) -> None:
    fields: dict[str, object] = {"model_type": "bert"}
    fields |= {"pad_token_id": None, "max_position_embeddings": None}
    _write(tmp_path, fields)

    assert read_fields(tmp_path) == fields


def _fields(folder: Path) -> dict[str, object]:
    fields: dict[str, object] = json.loads((folder / "config.json").read_text())
    return fields


def _write(folder: Path, fields: dict[str, object]) -> None:
    (folder / "config.json").write_text(json.dumps(fields))


def test_switches_for_other_callers_are_left_out(tmp_path: Path) -> None:
    fields = {"model_type": "bert", "hidden_size": 32, "return_dict": False, "dtype": "float16"}
    (tmp_path / "config.json").write_text(json.dumps(fields))

    config = read_config(tmp_path, "model")

    assert (config.hidden_size, config.return_dict) == (32, True)


@pytest.mark.parametrize(
    ("content", "told"), [("{", "is not JSON"), ("[1]", "must hold a JSON object")]
)
def test_a_file_that_is_no_object_is_refused(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)

    assert f"{path} {told}" in refusal(lambda: json_object(path))
    assert f"{path} {told}" in refusal(lambda: read_config(tmp_path, "model"))


def test_a_value_that_transformers_does_not_take_is_refused(tmp_path: Path) -> None:
    fields = {"model_type": "bert", "problem_type": "none", "hidden_dropout_prob": ""}
    (tmp_path / "config.json").write_text(json.dumps(fields))

    assert "the config.json of model can't be used" in refusal(
        lambda: read_config(tmp_path, "model")
    )
