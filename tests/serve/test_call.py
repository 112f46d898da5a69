"""What all routes do alike: keys, limits, times, and one sentence for each refusal."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from bertcompress.errors import RunError
from bertcompress.serve.call import Reply, _until_gone
from bertcompress.serve.dispatcher import Dispatcher, LateError
from bertcompress.serve.keys import add_key
from bertcompress.serve.settings import ServeSettings
from tests.fixtures.serving import INLINE, Serve

BODY = {"inputs": "the film is good"}


def with_settings(**changes: Any) -> ServeSettings:
    return dataclasses.replace(INLINE, **changes)


@pytest.mark.parametrize(
    ("content", "status", "kind", "said"),
    [
        (b"", 400, "not_json", "not JSON"),
        (b"{", 400, "not_json", "not JSON"),
        (b"\xff\xfe", 400, "not_json", "not JSON"),
        (b'{"inputs": "a", "x": ' + b"[" * 100_000, 400, "validation", "x"),
        (b"{}", 400, "validation", "inputs"),
        (b'{"inputs": 3}', 400, "validation", "inputs"),
        (b'{"inputs": []}', 400, "validation", "empty"),
        (b'{"inputs": ""}', 400, "validation", "text 1 is empty"),
        (b'{"inputs": ["a", " "]}', 400, "validation", "text 2 is empty"),
        (b'{"inputs": "a", "wrong": 1}', 400, "validation", "wrong"),
        (b'{"inputs": "a", "options": {"model": "tex"}}', 404, "no_such_model", "there is no"),
        (b'{"inputs": "a", "options": {"top_k": 0}}', 400, "validation", "top_k"),
        (b'{"inputs": [["a", "b", "c"]]}', 400, "validation", "pair has two"),
        (b'{"inputs": ["a", "b", "c", "d"]}', 413, "too_large", "4 texts"),
        (b'{"inputs": "' + b"a" * 60 + b'"}', 413, "too_large", "60 characters"),
        (b'{"inputs": "' + b"a " * 600 + b'"}', 413, "too_large", "bytes"),
    ],
)
def test_each_wrong_body_has_its_sentence(
    served: Serve, content: bytes, status: int, kind: str, said: str
) -> None:
    settings = with_settings(max_texts=3, max_characters=50, max_body_bytes=1000)
    if len(content) > 50_000:
        settings = dataclasses.replace(settings, max_body_bytes=1 << 20)
    with served(settings=settings) as opened:
        reply = opened.client.post("/predict", content=content)
        assert reply.status_code == status, reply.text
        assert reply.headers["content-type"] == "application/problem+json"
        problem = reply.json()
        assert (problem["status"], problem["error_type"]) == (status, kind)
        assert said in problem["detail"]
        assert opened.client.post("/predict", json=BODY).status_code == 200


def test_a_text_is_never_in_a_refusal(served: Serve) -> None:
    with served() as opened:
        for body in ({"inputs": [["secret"] * 3]}, {"inputs": "a", "options": {"top_k": "secret"}}):
            reply = opened.client.post("/predict", json=body)
            assert reply.status_code == 400
            assert "secret" not in reply.text


def test_a_text_that_is_too_long_is_cut_and_told_or_refused(served: Serve) -> None:
    long = "good " * 900
    with served() as opened:
        reply = opened.client.post("/predict", json={"inputs": [long, "good"]})
        assert [row["truncated"] for row in reply.json()["results"]] == [True, False]
        assert reply.headers["x-truncated"] == "1"
        reply = opened.client.post(
            "/predict", json={"inputs": long, "options": {"truncate": False}}
        )
        assert (reply.status_code, reply.json()["got"]) == (413, 902)


def test_replies_name_their_version_and_their_times(served: Serve) -> None:
    with served() as opened:
        replies = [opened.client.post("/predict", json=BODY) for _ in range(2)]
        model = opened.service.model()
    assert [reply.headers["x-cache"] for reply in replies] == ["miss", "hit"]
    assert {reply.headers["x-model-version"] for reply in replies} == {model.version}
    assert "inference;dur=" in replies[0].headers["server-timing"]
    assert replies[0].content == replies[1].content


def test_the_askers_id_comes_back_if_it_is_plain(served: Serve) -> None:
    with served() as opened:
        for given, kept in (("abc-1", True), ("a b", False), ("x" * 99, False)):
            reply = opened.client.post("/predict", json=BODY, headers={"X-Request-Id": given})
            assert (reply.headers["x-request-id"] == given) == kept


def test_keys_are_asked_for_and_are_for_something(served: Serve, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = add_key(path, "one")
    metrics = add_key(path, "two", scopes=("metrics",))
    with served(settings=with_settings(keys=path)) as opened:

        def status(route: str, headers: dict[str, str]) -> int:
            if route == "/metrics":
                return opened.client.get(route, headers=headers).status_code
            return opened.client.post(route, json=BODY, headers=headers).status_code

        assert status("/predict", {}) == 401
        assert status("/predict", {"Authorization": "Bearer wrong"}) == 401
        assert status("/predict", {"Authorization": f"Bearer {key}"}) == 200
        assert status("/predict", {"X-API-Key": key}) == 200
        assert status("/predict", {"X-API-Key": metrics}) == 403
        assert status("/metrics", {"X-API-Key": metrics}) == 200
        assert status("//predict", {}) in (401, 404)
        assert opened.client.get("/healthz").status_code == 200
        assert opened.client.get("/info").status_code == 401
        assert opened.client.post("/predict", json=BODY).headers["www-authenticate"] == "Bearer"


def test_one_keys_answers_are_not_anothers(served: Serve, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = [add_key(path, name) for name in ("one", "two")]
    for shared, expected in ((False, ["miss", "miss"]), (True, ["miss", "hit"])):
        settings = with_settings(keys=path, share_cache=shared)
        with served(settings=settings) as opened:
            found = [
                opened.client.post("/predict", json=BODY, headers={"X-API-Key": key})
                for key in keys
            ]
        assert [reply.headers["x-cache"] for reply in found] == expected


def test_what_would_wait_too_long_is_refused_at_once(
    served: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dispatcher, "wait_seconds", lambda self: 33.0)
    with served() as opened:
        reply = opened.client.post("/predict", json=BODY)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "33")


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (LateError("too late"), 504, "deadline"),
        (RunError("refused"), 500, "unanswerable"),
        (KeyError("secret text"), 500, "unexpected"),
    ],
)
def test_what_fails_inside_is_one_sentence(
    served: Serve, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, kind: str
) -> None:
    async def fail(self: Dispatcher, *args: object, **settings: object) -> None:
        raise error

    monkeypatch.setattr(Dispatcher, "run", fail)
    with served() as opened:
        reply = opened.client.post("/predict", json=BODY)
    assert (reply.status_code, reply.json()["error_type"]) == (status, kind)
    assert "secret" not in reply.text


@pytest.mark.parametrize("wanted", ["x", "-1", "nan", "0"])
def test_a_time_that_is_none_is_refused(served: Serve, wanted: str) -> None:
    with served() as opened:
        reply = opened.client.post("/predict", json=BODY, headers={"X-Request-Timeout-Ms": wanted})
    assert reply.status_code == 400
    assert "milliseconds" in reply.json()["detail"]


def test_nothing_is_answered_before_the_server_is_open(served: Serve) -> None:
    with served() as opened:
        opened.service.open = opened.service.ready = False
        assert opened.client.post("/predict", json=BODY).status_code == 503
        assert opened.client.get("/readyz").status_code == 503
        assert opened.client.get("/healthz").status_code == 200


def test_a_client_that_has_gone_ends_its_work() -> None:
    gone, ended = asyncio.Event(), list[str]()

    async def receive() -> dict[str, object]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def work() -> Reply:
        gone.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        raise AssertionError("nobody waits for this")

    async def answer() -> Reply:
        return await _until_gone(Request({"type": "http"}, receive), work())

    with pytest.raises(ClientDisconnect):
        asyncio.run(answer())
    assert ended == ["cancelled"]


def test_work_that_is_done_is_not_given_up_afterwards() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def work() -> Reply:
        return Reply(b"done")

    async def answer() -> bytes:
        reply = await _until_gone(Request({"type": "http"}, receive), work())
        await asyncio.sleep(0)
        return reply.body

    assert asyncio.run(answer()) == b"done"


def test_a_key_that_has_used_its_tokens_waits(served: Serve, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = add_key(path, "small", tokens_per_minute=3)
    with served(settings=with_settings(keys=path)) as opened:
        headers = {"Authorization": f"Bearer {key}"}
        assert opened.client.post("/predict", json=BODY, headers=headers).status_code == 200
        for _ in range(2):
            full = opened.client.post("/predict", json=BODY, headers=headers)
            assert (full.status_code, full.json()["error_type"]) == (429, "rate_limit")
        assert int(full.headers["retry-after"]) >= 60
