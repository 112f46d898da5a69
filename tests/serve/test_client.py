"""The Python clients, against servers that are well, busy, away or refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import numpy as np
import psutil
import pytest

from bertcompress.inference.predictor import Predictor
from bertcompress.serve import client as module
from bertcompress.serve.client import AsyncClient, Client, RequestError
from bertcompress.serve.keys import add_key
from bertcompress.serve.load.run import live_server
from bertcompress.serve.settings import ModelSettings, ServeSettings

TEXTS = [f"a {'good' if number % 2 else 'bad'} film {number}" for number in range(10)]


@pytest.fixture(scope="module")
def address(graph_folder: Callable[..., Path]) -> Iterator[str]:
    models = {
        name: ModelSettings(graph_folder(task=name))
        for name in ("text-classification", "feature-extraction", "question-answering")
    }
    with live_server(models, ServeSettings(port=0, engines="inline")) as (port, _):
        yield f"http://127.0.0.1:{port}"


def test_a_list_is_sent_in_parts_and_comes_back_in_order(
    address: str, graph_folder: Callable[..., Path]
) -> None:
    with Client(address, texts_per_request=3) as client:
        found = client.predict(TEXTS, top_k=1)
    with Predictor.open(graph_folder()) as model:
        right = [one.answer for one in model.predict(TEXTS).predictions]
    assert [one["label"] for one in found] == right
    assert all(len(one["scores"]) == 1 for one in found)  # type: ignore[arg-type]

    async def many() -> list[dict[str, object]]:
        async with AsyncClient(address, texts_per_request=3) as client:
            return await client.predict(TEXTS, top_k=1)

    assert asyncio.run(many()) == found


def test_vectors_are_an_array(address: str, graph_folder: Callable[..., Path]) -> None:
    folder = graph_folder(task="feature-extraction")
    with Client(address, model="feature-extraction", texts_per_request=4) as client:
        found = client.embed(TEXTS)
    with Predictor.open(folder) as model:
        right = np.array([one.answer for one in model.predict(TEXTS).predictions])
    np.testing.assert_allclose(found, right, atol=1e-6)
    assert (found.dtype, found.shape) == (np.float32, (10, 32))

    async def same() -> object:
        async with AsyncClient(address, model="feature-extraction") as client:
            return await client.embed(TEXTS)

    np.testing.assert_array_equal(asyncio.run(same()), found)


def test_pairs_and_questions_are_inputs(address: str) -> None:
    with Client(address) as client:
        [pair] = client.predict([("good", "bad")])
    with Client(address, model="question-answering") as client:
        [span] = client.predict([{"question": "who", "context": "anna in berlin"}])
    assert pair["tokens"] == 5
    assert str(span["answer"]) in "anna in berlin"


def test_a_refusal_is_an_error_with_its_word(address: str) -> None:
    with Client(address, model="none") as client, pytest.raises(RequestError) as found:
        client.predict(["a"])
    assert (found.value.status, found.value.kind) == (404, "no_such_model")
    with Client(address) as client, pytest.raises(RequestError, match="truncate"):
        client.predict(["good film " * 500], truncate=False)


def test_a_key_is_sent(graph_folder: Callable[..., Path], tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys.json", "team", scopes=("infer",))
    settings = ServeSettings(port=0, engines="inline", keys=tmp_path / "keys.json")
    with live_server({"m": ModelSettings(graph_folder())}, settings) as (port, _):
        address = f"http://127.0.0.1:{port}"
        with Client(address, key=key, bulk=True) as client:
            assert client.predict(["good"])
        with Client(address) as client, pytest.raises(RequestError, match="a key is needed"):
            client.predict(["good"])


def answers_with(monkeypatch: pytest.MonkeyPatch, *replies: object) -> list[float]:
    """Lets the library answer so; returns the list of waits."""
    left, waits = [*replies], list[float]()

    def answer(request: httpx2.Request) -> httpx2.Response:
        del request
        reply = left.pop(0)
        if isinstance(reply, Exception):
            raise reply
        assert isinstance(reply, httpx2.Response)
        return reply

    plain = httpx2.Client
    monkeypatch.setattr(
        module.httpx,
        "Client",
        lambda **more: plain(transport=httpx2.MockTransport(answer), **more),
    )
    monkeypatch.setattr(module.time, "sleep", waits.append)
    return waits


def good() -> httpx2.Response:
    return httpx2.Response(200, content=json.dumps({"results": [{"label": "good"}]}))


def test_busy_and_broken_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = answers_with(
        monkeypatch,
        httpx2.Response(429, headers={"Retry-After": "2"}),
        httpx2.ReadError("reset"),
        httpx2.Response(503),
        good(),
    )
    with Client() as client:
        assert client.predict(["a"]) == [{"label": "good"}]
    assert 2.0 <= waits[0] <= 2.1
    assert waits[1] <= 0.2
    assert len(waits) == 3


@pytest.mark.parametrize(
    ("reply", "said", "status"),
    [
        (httpx2.Response(429, text="busy"), "busy", 429),
        (httpx2.ConnectError("refused"), "did not answer: refused", None),
    ],
)
def test_what_stays_busy_or_away_is_told(
    monkeypatch: pytest.MonkeyPatch, reply: object, said: str, status: int | None
) -> None:
    answers_with(monkeypatch, reply)
    with Client(seconds=0) as client, pytest.raises(RequestError, match=said) as found:
        client.predict(["a"])
    assert found.value.status == status


def test_a_front_that_is_killed_loses_nothing(graph_folder: Callable[..., Path]) -> None:
    """The supervisor starts another one; what was under way is sent again."""
    from tests.serve.test_supervisor import running

    with (
        running(str(graph_folder()), "--engines", "1", "--cache", "0") as live,
        Client(live.address, texts_per_request=1) as client,
    ):
        first = client.predict(TEXTS)
        psutil.Process(live.front().pid).kill()
        assert client.predict(TEXTS) == first
