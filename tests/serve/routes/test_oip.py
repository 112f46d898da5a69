"""The Open Inference Protocol with texts, as JSON."""

from __future__ import annotations

import json

import pytest

from tests.fixtures.serving import Serve

URL = "/v2/models/text-classification/infer"


def tensor(*texts: str, name: str = "text", **changes: object) -> dict[str, object]:
    return {"name": name, "shape": [len(texts)], "datatype": "BYTES", "data": [*texts], **changes}


def test_texts_are_answered_by_name(served: Serve) -> None:
    with served() as opened:
        body = {"id": "7", "inputs": [tensor("good", "bad film")], "outputs": [{"name": "label"}]}
        found = opened.client.post(URL, json=body).json()
        pair = opened.client.post(
            URL, json={"inputs": [tensor("good"), tensor("bad", name="pair")]}
        ).json()
        version = opened.service.model().version
    assert (found["id"], found["model_version"]) == ("7", version)
    [labels] = found["outputs"]
    assert labels["shape"] == [2]
    rows = {one["name"]: one["data"] for one in pair["outputs"]}
    assert json.loads(rows["json"][0])["tokens"] == 5


def test_vectors_are_one_tensor(served: Serve) -> None:
    with served("feature-extraction") as opened:
        body = {"inputs": [tensor("good", "bad")]}
        reply = opened.client.post("/v2/models/feature-extraction/infer", json=body).json()
    [vectors] = reply["outputs"]
    assert (vectors["shape"], len(vectors["data"])) == ([2, 32], 64)


def test_the_server_says_what_it_is(served: Serve) -> None:
    with served() as opened:
        assert opened.client.get("/v2").json()["name"] == "bertcompress"
        assert opened.client.get("/v2/health/ready").status_code == 200
        facts = opened.client.get("/v2/models/text-classification").json()
        version = facts["versions"][0]
        path = f"/v2/models/text-classification/versions/{version}"
        assert opened.client.get(f"{path}/ready").status_code == 200
        assert opened.client.get(f"{path}0").status_code == 404


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [tensor("a", name="words")],
        [tensor("a", datatype="INT64")],
        [tensor("a", shape=[2])],
        [tensor("a"), tensor("a", "b", name="pair")],
        [tensor("a", data=[1])],
    ],
)
def test_other_tensors_are_refused(served: Serve, inputs: list[object]) -> None:
    with served() as opened:
        reply = opened.client.post(URL, json={"inputs": inputs})
        assert (reply.status_code, set(reply.json())) == (400, {"error"})
        headers = {"Inference-Header-Content-Length": "10"}
        binary = opened.client.post(URL, content=b"x", headers=headers)
    assert "binary_data=False" in binary.json()["error"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"outputs": [{"name": "label", "parameters": {"classification": 2}}]}, "classification"),
        ({"outputs": [{"name": "label", "parameters": {"binary_data": True}}]}, "binary_data"),
        ({"parameters": {"timeout": 5}}, "timeout"),
        ({"inputs": [tensor("a", parameters={"binary_data_size": 9})]}, "binary_data_size"),
        ({"output": []}, "output"),
    ],
)
def test_what_is_not_applied_is_named(served: Serve, changes: dict[str, object], word: str) -> None:
    with served() as opened:
        reply = opened.client.post(URL, json={"inputs": [tensor("a")], **changes})
        plain = {"outputs": [{"name": "label", "parameters": {"binary_data": False}}]}
        assert opened.client.post(URL, json={"inputs": [tensor("a")], **plain}).status_code == 200
    assert (reply.status_code, word in reply.json()["error"]) == (400, True)
