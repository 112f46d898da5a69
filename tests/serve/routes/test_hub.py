"""Hugging Face's shape: what the pipelines and their client give."""

from __future__ import annotations

import pytest

from bertcompress.inference.predictor import Predictor
from tests.fixtures.serving import Serve


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


@pytest.mark.parametrize("name", ["function_to_apply", "aggregation_strategy"])
def test_what_is_not_applied_is_refused(served: Serve, name: str) -> None:
    with served() as opened:
        reply = opened.client.post("/", json={"inputs": "a", "parameters": {name: "none"}})
    assert (reply.status_code, name in reply.json()["error"]) == (422, True)
