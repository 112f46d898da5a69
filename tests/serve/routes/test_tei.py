"""Text-embeddings-inference's routes, whose list of two texts is a pair."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.fixtures.serving import INLINE, Serve


def test_two_texts_are_a_pair_and_other_lists_are_texts(served: Serve) -> None:
    with served() as opened:

        def predict(inputs: object) -> list[object]:
            reply = opened.client.post("/tei/predict", json={"inputs": inputs})
            assert reply.status_code == 200, reply.text
            return list(reply.json())

        assert predict("good")[0].keys() == {"label", "score"}
        pair = predict(["good", "bad"])
        assert pair == predict([["good", "bad"]])[0]
        assert [len(row) for row in predict(["good", "bad", "film"])] == [2, 2, 2]
        assert len(predict([["good"], ["bad", "film"]])) == 2


def test_vectors_have_length_one_unless_told(served: Serve) -> None:
    with served("feature-extraction") as opened:
        reply = opened.client.post("/tei/embed", json={"inputs": ["good", "bad film"]})
        assert reply.headers["x-compute-tokens"] == "7"
        np.testing.assert_allclose(np.linalg.norm(reply.json(), axis=1), 1.0, atol=1e-6)
        body = {"inputs": "good", "normalize": False}
        assert len(opened.client.post("/tei/embed", json=body).json()[0]) == 32


def test_its_routes_can_stand_at_the_root(served: Serve) -> None:
    settings = dataclasses.replace(INLINE, api="tei")
    with served(settings=settings) as opened:
        assert isinstance(opened.client.post("/predict", json={"inputs": "a"}).json(), list)
        wrong = opened.client.post("/predict", json={"inputs": 3})
    assert (wrong.status_code, wrong.json()["error_type"]) == (422, "Validation")


def test_tokens_and_facts(served: Serve) -> None:
    with served() as opened:
        [row] = opened.client.post("/tei/tokenize", json={"inputs": "good film"}).json()
        body = {"inputs": ["good"], "add_special_tokens": False}
        [bare] = opened.client.post("/tei/tokenize", json=body).json()
        info = opened.client.get("/tei/info").json()
    assert [one["text"] for one in row] == ["[CLS]", "good", "film", "[SEP]"]
    assert row[2] == {**row[2], "special": False, "start": 5, "stop": 9}
    assert [one["text"] for one in bare] == ["good"]
    assert info["model_type"]["classifier"]["id2label"] == {"0": "negative", "1": "positive"}


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("embed", {"inputs": [1, 2]}),
        ("embed", {"inputs": "a"}),
        ("predict", {"inputs": "a", "raw_scores": True}),
        ("predict", {"inputs": "a", "truncation_direction": "Left"}),
        ("predict", {"inputs": [["a", "b", "c"]]}),
        ("rerank", {"query": "a", "texts": ["b"]}),
    ],
)
def test_what_is_not_there_is_refused(served: Serve, route: str, body: dict[str, object]) -> None:
    with served() as opened:
        reply = opened.client.post(f"/tei/{route}", json=body)
    assert (reply.status_code, set(reply.json())) == (422, {"error", "error_type"})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("predict", {"inputs": "a", "raw": True}),
        ("tokenize", {"inputs": "a", "prompt_name": "query"}),
        ("rerank", {"query": "a", "texts": ["b"], "top_n": 1}),
    ],
)
def test_what_is_not_known_is_refused(served: Serve, path: str, body: dict[str, object]) -> None:
    with served() as opened:
        assert opened.client.post(f"/tei/{path}", json=body).status_code == 422
