"""OpenAI's embeddings: numbers or base64, and no ids of another vocabulary."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from tests.fixtures.serving import Serve

URL = "/v1/embeddings"


def test_base64_holds_the_same_numbers(served: Serve) -> None:
    with served("feature-extraction") as opened:
        body = {"input": ["good", "bad film"], "model": "feature-extraction"}
        plain = opened.client.post(URL, json=body).json()
        packed = opened.client.post(URL, json={**body, "encoding_format": "base64"}).json()
    assert plain["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    for one, other in zip(plain["data"], packed["data"], strict=True):
        values = np.frombuffer(base64.b64decode(other["embedding"]), "<f4")
        np.testing.assert_array_equal(values, np.asarray(one["embedding"], np.float32))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"input": [1, 2]}, 400, "token_ids"),
        ({"input": [[1, 2]]}, 400, "token_ids"),
        ({"input": "a", "model": "none"}, 404, "no_such_model"),
        ({"input": "a", "dimensions": 3}, 400, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, 400, "validation"),
        ({"input": ""}, 400, "validation"),
        ({}, 400, "validation"),
    ],
)
def test_each_wrong_body_has_its_code(
    served: Serve, body: dict[str, object], status: int, code: str
) -> None:
    with served("feature-extraction") as opened:
        reply = opened.client.post(URL, json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def test_a_classifier_has_no_vectors(served: Serve) -> None:
    with served() as opened:
        reply = opened.client.post(URL, json={"input": "a"})
        models = opened.client.get("/v1/models").json()
    assert reply.json()["error"]["code"] == "no_embeddings"
    assert [row["id"] for row in models["data"]] == ["text-classification"]
