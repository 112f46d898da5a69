"""A config.json becomes a configuration, or one sentence says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertcompress.bert.loading.config_file import json_object, read_config
from fixtures.loading import refusal


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
    fields = {"model_type": "bert", "hidden_size": "wide"}
    (tmp_path / "config.json").write_text(json.dumps(fields))

    assert "the config.json of model can't be used" in refusal(
        lambda: read_config(tmp_path, "model")
    )
