"""One answer a text, typed or from a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

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


def test_columns_of_the_file_are_given_along_on_request(
    ok: Ok, fails: Ok, here: Path, model: Path
) -> None:
    (here / "in.csv").write_text("key,text,author\n7,the film is good,One\n8,a bad film,Two\n")
    (here / "in.jsonl").write_text('{"key": 7, "text": "the film is good"}\n')

    def kept(*typed: object) -> list[object]:
        lines = ok("predict", model, "--input", *typed).splitlines()
        assert all("label" in json.loads(line) for line in lines)
        return [json.loads(line).get("columns") for line in lines]

    assert kept("in.csv") == [None, None]
    assert kept("in.csv", "--keep", "key,author") == [
        {"key": "7", "author": "One"},
        {"key": "8", "author": "Two"},
    ]
    assert kept("in.jsonl", "--keep", "all") == [{"key": 7, "text": "the film is good"}]
    typed = ("predict", model, "--input")
    assert "has no column 'auhtor'; did you mean" in fails(1, *typed, "in.csv", "--keep", "auhtor")
    assert "is no file with columns" in fails(1, *typed, here, "--keep", "all")
    assert "--input" in fails(2, "predict", model, "a text", "--keep", "all")


def test_it_says_which_artifact_answered(
    bc: Callable[..., CompletedProcess[str]], model: Path
) -> None:
    outcome = bc("predict", model, "a good film")
    assert f"note: {model} answers, by torch-cpu" in outcome.stderr
