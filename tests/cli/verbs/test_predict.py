"""One answer a text, typed or from a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Ok = Callable[..., str]


@pytest.mark.parametrize(
    ("task", "typed", "key"),
    [
        ("text-classification", ("a good film", "a bad film"), "label"),
        ("token-classification", ("anna lives in berlin", "who is anna"), "entities"),
        (
            "question-answering",
            ("who lives", "is anna", "--pair", "anna lives in berlin"),
            "answer",
        ),
    ],
)
def test_predict_prints_one_object_a_text(
    ok: Ok, tiny_folder: Callable[..., Path], task: str, typed: tuple[str, ...], key: str
) -> None:
    lines = ok("predict", tiny_folder(task=task), *typed).splitlines()

    assert len(lines) == 2
    assert all(key in json.loads(line) for line in lines)


def test_predict_answers_a_file_and_texts_in_a_workspace(
    ok: Ok, fails: Ok, workspace: Path, data: Path
) -> None:
    assert len(ok("predict", "--input", data / "test.csv").splitlines()) == 12
    assert json.loads(ok("predict", "the film is good"))["label"] in ("negative", "positive")
    assert "a text" in fails(2, "predict")
