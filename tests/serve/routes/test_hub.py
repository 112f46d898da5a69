"""Hugging Face's shape: what the pipelines and their client give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.inference.predictor import Predictor
from tests.fixtures.serving import Serve, serving

TEXTS = ["good film", "anna lives in berlin", "a bad bad film"]


def pipeline_of(task: str, folder: Path, **more: Any) -> Any:
    from transformers import pipeline

    return pipeline(task, model=str(folder), tokenizer=str(folder), **more)


def answers_of(folder: Path, **body: object) -> Any:
    with serving({"m": folder}) as opened:
        return opened.client.post("/", json={"inputs": TEXTS, **body}).json()


def test_labels_and_scores_are_the_pipelines(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder()
    found = answers_of(folder)
    for rows, right in zip(
        found, pipeline_of("text-classification", folder)(TEXTS, top_k=None), strict=True
    ):
        assert [row["label"] for row in rows] == [row["label"] for row in right]
        assert [r["score"] for r in rows] == pytest.approx([r["score"] for r in right], abs=1e-6)


def test_a_value_has_the_pipelines_name(number_checkpoint: Checkpoint, tmp_path: Path) -> None:
    save(number_checkpoint, tmp_path / "number")
    found = answers_of(tmp_path / "number")
    for [row], right in zip(
        found, pipeline_of("text-classification", tmp_path / "number")(TEXTS), strict=True
    ):
        assert row["label"] == right["label"] == "LABEL_0"
        assert row["score"] == pytest.approx(right["score"], abs=1e-6)


def test_entities_are_the_simple_strategys(tiny_folder: Callable[..., Path]) -> None:
    folder = tiny_folder(task="token-classification")
    found = answers_of(folder)
    pipe = pipeline_of("token-classification", folder, aggregation_strategy="simple")
    for rows, right in zip(found, pipe(TEXTS), strict=True):
        assert [(r["entity_group"], r["start"], r["end"]) for r in rows] == [
            (r["entity_group"], r["start"], r["end"]) for r in right
        ]


def test_labels_are_a_list_in_a_list(served: Serve) -> None:
    with served() as opened:
        [rows] = opened.client.post("/", json={"inputs": "good film"}).json()
        assert [row["score"] for row in rows] == sorted((r["score"] for r in rows), reverse=True)
        body = {"inputs": ["good", "bad"], "parameters": {"top_k": 1}}
        assert [len(row) for row in opened.client.post("/", json=body).json()] == [1, 1]


def test_entities_are_the_pipelines(served: Serve) -> None:
    with served("token-classification") as opened:
        rows = opened.client.post("/", json={"inputs": "anna lives in berlin"}).json()
        assert all({"entity_group", "score", "word", "start", "end"} == {*row} for row in rows)
        many = opened.client.post("/", json={"inputs": ["anna", "berlin"]}).json()
        assert len(many) == 2


def test_a_span_has_its_place(served: Serve) -> None:
    body = {"inputs": {"question": "who", "context": "anna lives in berlin"}}
    with served("question-answering") as opened:
        row = opened.client.post("/", json=body).json()
        assert row["answer"] == body["inputs"]["context"][row["start"] : row["end"]]
        assert opened.client.post("/", json={"inputs": "who"}).status_code == 400


def test_vectors_come_as_lists_of_the_named_model(served: Serve) -> None:
    with served("text-classification", "feature-extraction") as opened:
        found = opened.client.post("/models/feature-extraction", json={"inputs": "good"}).json()
        with Predictor.open(opened.service.model("feature-extraction").predictor.folder) as model:
            expected = model.predict(["good"]).predictions[0].answer
        assert found[0] == pytest.approx(list(expected), abs=1e-5)
        assert opened.client.post("/models/none", json={"inputs": "a"}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"parameters": {"top_n": 1}},
        {"parameter": {"top_k": 1}},
        {"options": {"cache": False}},
        {"parameters": {"top_k": 0}},
    ],
)
def test_what_is_not_known_is_refused(served: Serve, body: dict[str, object]) -> None:
    with served() as opened:
        reply = opened.client.post("/", json={"inputs": "a", **body})
    assert reply.status_code == 400, reply.text


def test_its_option_asks_anew(served: Serve) -> None:
    with served() as opened:
        for options, cache in (({}, "miss"), ({}, "hit"), ({"use_cache": False}, "miss")):
            reply = opened.client.post("/", json={"inputs": "good", "options": options})
            assert reply.headers["x-cache"] == cache


def test_labels_are_asked_of_what_has_some(served: Serve) -> None:
    body = {"inputs": "good", "parameters": {"top_k": 1}}
    with served("feature-extraction") as opened:
        assert opened.client.post("/", json=body).status_code == 422


NAMES = ["function_to_apply", "aggregation_strategy", "prompt_name", "truncation_direction"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_applied_is_refused(served: Serve, name: str) -> None:
    with served() as opened:
        reply = opened.client.post("/", json={"inputs": "a", "parameters": {name: "none"}})
    assert (reply.status_code, name in reply.json()["error"]) == (422, True)
