"""Our own routes answer any head, several texts, and pairs."""

from __future__ import annotations

import pytest

from tests.fixtures.serving import Serve


def test_one_text_and_several_are_answered_alike(served: Serve) -> None:
    with served() as opened:
        several = opened.client.post("/predict", json={"inputs": ["good film", "bad"]}).json()
        alone = opened.client.post("/predict", json={"inputs": "good film"}).json()
    assert several["results"][0] == alone["results"][0]
    assert several["model"] == "text-classification"
    row = several["results"][1]
    assert row["label"] in ("negative", "positive")
    assert row["scores"][row["label"]] == row["score"]
    assert (row["tokens"], row["truncated"]) == (3, False)


def test_two_texts_are_two_texts_and_a_pair_is_a_list_of_two(served: Serve) -> None:
    with served() as opened:
        two = opened.client.post("/predict", json={"inputs": ["good", "bad"]}).json()
        pair = opened.client.post("/predict", json={"inputs": [["good", "bad"]]}).json()
    assert (len(two["results"]), len(pair["results"])) == (2, 1)
    assert pair["results"][0]["tokens"] == 5


def test_the_likeliest_labels_alone(served: Serve) -> None:
    with served() as opened:
        body = {"inputs": "good", "options": {"top_k": 1}}
        [row] = opened.client.post("/predict", json=body).json()["results"]
    assert list(row["scores"]) == [row["label"]]


def test_entities_have_their_characters(served: Serve) -> None:
    text = "anna lives in berlin"
    with served("token-classification") as opened:
        [row] = opened.client.post("/predict", json={"inputs": text}).json()["results"]
    assert len(row["tags"]) == 4
    for entity in row["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]


def test_a_question_has_its_context(served: Serve) -> None:
    body = {"inputs": {"question": "who lives in berlin", "context": "anna lives in berlin"}}
    with served("question-answering") as opened:
        reply = opened.client.post("/predict", json=body)
        [row] = reply.json()["results"]
        assert row["answer"] in body["inputs"]["context"]
        reply = opened.client.post("/predict", json={"inputs": "who lives in berlin"})
        assert (reply.status_code, "context" in reply.json()["detail"]) == (422, True)


def test_vectors_are_for_models_that_have_them(served: Serve) -> None:
    with served("feature-extraction", "text-classification") as opened:
        reply = opened.client.post("/embed", json={"inputs": ["good", "bad film"]})
        assert [len(row["embedding"]) for row in reply.json()["results"]] == [32, 32]
        body = {"inputs": "good", "options": {"model": "text-classification"}}
        reply = opened.client.post("/embed", json=body)
        assert (reply.status_code, reply.json()["error_type"]) == (400, "no_embeddings")


def test_tokens_are_shown_uncut(served: Serve) -> None:
    with served() as opened:
        reply = opened.client.post("/tokenize", json={"inputs": "good " * 900}).json()
    [row] = reply["results"]
    assert len(row["ids"]) == 902 > reply["limit"]
    assert row["tokens"][0] == "[CLS]"


def test_models_are_named_and_listed(served: Serve) -> None:
    with served("text-classification", "token-classification") as opened:
        names = [row["name"] for row in opened.client.get("/models").json()["models"]]
        info = opened.client.get("/info").json()
        body = {"inputs": "anna", "options": {"model": "token-classification"}}
        other = opened.client.post("/predict", json=body).json()
    assert names == ["text-classification", "token-classification"]
    assert (info["task"], info["labels"]) == ("text-classification", ["negative", "positive"])
    assert "tags" in other["results"][0]


@pytest.mark.parametrize("text", ["\U0001f600 good", "e\u0301", "\u202egood", "a\u0000b", "坏"])
def test_any_text_is_answered(served: Serve, text: str) -> None:
    with served() as opened:
        assert opened.client.post("/predict", json={"inputs": text}).status_code == 200
