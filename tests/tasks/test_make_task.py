"""The right task by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import BertConfig

from bertcompress.errors import UsageError
from bertcompress.tasks import (
    TASK_NAMES,
    QuestionAnswering,
    SentenceEmbedding,
    TextClassification,
    TokenClassification,
    make_task,
)


@pytest.mark.parametrize("name", TASK_NAMES)
def test_every_name_makes_its_task(name: str) -> None:
    assert make_task(name, BertConfig()).name == name


def test_the_configuration_is_used() -> None:
    config = BertConfig(id2label={0: "O", 1: "B-A"})

    assert make_task("text-classification", config) == TextClassification(("O", "B-A"))
    assert make_task("token-classification", config) == TokenClassification(("O", "B-A"))
    assert make_task("question-answering", config) == QuestionAnswering()


def test_the_folder_says_how_to_pool(tmp_path: Path) -> None:
    modules = [
        {"type": f"sentence_transformers.models.{kind}", "path": path}
        for kind, path in (("Transformer", ""), ("Pooling", "pool"), ("Normalize", "last"))
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "config.json").write_text('{"pooling_mode": "cls"}')

    assert make_task("feature-extraction", BertConfig(), folder=tmp_path) == SentenceEmbedding(
        "cls", normalize=True
    )


def test_other_names_are_refused() -> None:
    with pytest.raises(UsageError, match=r"must be one of .*, got 'token-classifcation'; did you"):
        make_task("token-classifcation", BertConfig())
