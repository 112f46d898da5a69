"""Bert-as-service over HTTP."""

from __future__ import annotations

import pytest

from tests.fixtures.serving import Serve


def test_texts_become_vectors(served: Serve) -> None:
    with served("feature-extraction") as opened:
        body = {"id": 123, "texts": ["good", "bad film"], "is_tokenized": False}
        found = opened.client.post("/encode", json=body).json()
        facts = opened.client.get("/status/server").json()
    assert (found["id"], found["status"]) == (123, 200)
    assert [len(row) for row in found["result"]] == [32, 32]
    assert facts["server_version"] == "1.10.0"


@pytest.mark.parametrize(
    "body", [{"texts": []}, {"texts": ["a"], "is_tokenized": True}, {"texts": [["a"]]}, {}]
)
def test_other_bodies_are_refused(served: Serve, body: dict[str, object]) -> None:
    with served("feature-extraction") as opened:
        assert opened.client.post("/encode", json=body).status_code == 400


def test_a_classifier_has_no_vectors(served: Serve) -> None:
    with served() as opened:
        reply = opened.client.post("/encode", json={"texts": ["a"]})
    assert "gives no vectors" in reply.json()["error"]
