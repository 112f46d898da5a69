"""Bert-as-service's protocol: whose answers reach whom, and refusals that are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
import zmq.asyncio

from bertcompress.errors import RunError
from bertcompress.serve.call import Service
from bertcompress.serve.keys import KeyFile, add_key
from bertcompress.serve.metrics import Metrics
from bertcompress.serve.server import open_model
from bertcompress.serve.settings import ModelSettings, ServeSettings
from bertcompress.serve.zeromq import ZeroMqFront
from tests.fixtures.serving import INLINE

Frames = list[bytes]


class Client:
    """Sends what the stock client sends, and more."""

    def __init__(self, front: ZeroMqFront, identity: bytes, subscribe: bytes | None = None) -> None:
        self.identity = identity
        self._context = zmq.asyncio.Context.instance()
        self.push = self._context.socket(zmq.PUSH)
        self.sub = self._context.socket(zmq.SUB)
        for socket in (self.push, self.sub):
            socket.setsockopt(zmq.LINGER, 0)
        self.push.connect(f"tcp://127.0.0.1:{front.ports[0]}")
        self.sub.setsockopt(zmq.SUBSCRIBE, identity if subscribe is None else subscribe)
        self.sub.connect(f"tcp://127.0.0.1:{front.ports[1]}")

    async def send(self, message: bytes, number: int = 1) -> None:
        await self.push.send_multipart([self.identity, message, b"%d" % number, b"1"])

    async def ask(self, message: object, number: int = 1) -> Frames:
        given = message if isinstance(message, bytes) else json.dumps(message).encode()
        await self.send(given, number)
        return await asyncio.wait_for(self.sub.recv_multipart(), 20)

    def close(self) -> None:
        self.push.close()
        self.sub.close()


def run_with(
    folder: Path,
    work: Callable[[ZeroMqFront, Callable[..., Client]], Awaitable[Any]],
    settings: ServeSettings = INLINE,
) -> Any:
    """Serves a folder by ZeroMQ alone and gives a maker of clients."""

    async def whole() -> Any:
        model = await open_model(
            "m", ModelSettings(folder), settings, several_keys=False, note=lambda sentence: None
        )
        keys = KeyFile(settings.keys) if settings.keys else None
        front = ZeroMqFront(Service({"m": model}, settings, keys, Metrics({})), port=0, port_out=0)
        front.open()
        clients: list[Client] = []

        def client(*identity: bytes) -> Client:
            clients.append(Client(front, *identity))
            return clients[-1]

        try:
            return await work(front, client)
        finally:
            for one in clients:
                one.close()
            await front.close()
            await model.dispatcher.close()
            model.close()

    return asyncio.run(whole())


@pytest.fixture
def folder(graph_folder: Callable[..., Path]) -> Path:
    return graph_folder(task="feature-extraction")


def test_vectors_come_back_with_their_shape(folder: Path) -> None:
    async def work(front: ZeroMqFront, client: Callable[..., Client]) -> None:
        one = client(b"0123456789abcdef")
        _, head, raw, number = await one.ask(["good", "bad film"], 7)
        facts = json.loads(head)
        vectors = np.frombuffer(raw, facts["dtype"]).reshape(facts["shape"])
        assert (vectors.shape, vectors.dtype, number) == ((2, 32), np.float32, b"7")
        assert front.dropped == 0

    run_with(folder, work)


def test_the_server_says_what_its_clients_ask(folder: Path) -> None:
    async def work(front: ZeroMqFront, client: Callable[..., Client]) -> None:
        one = client(b"id")
        config = json.loads((await one.ask(b"SHOW_CONFIG"))[1])
        status = json.loads((await one.ask(b"SHOW_STATUS", 2))[1])
        assert (config["server_version"], config["show_tokens_to_client"]) == ("1.10.0", False)
        assert status["statistic"]["num_total_request"] == 2

    run_with(folder, work)


def test_answers_reach_the_whole_identity_only(folder: Path) -> None:
    async def work(front: ZeroMqFront, client: Callable[..., Client]) -> None:
        short, long = client(b"a"), client(b"ab")
        listener = client(b"listener", b"")
        for number in range(1, 6):
            assert (await long.ask(["good"], number))[-1] == b"%d" % number
            assert (await short.ask(["bad"], number + 100))[-1] == b"%d" % (number + 100)
        for silent in (short, listener):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(silent.sub.recv_multipart(), 0.1)

    run_with(folder, work)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (["a ||| b"], "pair"),
        ([["a", "b"]], "own tokenizer"),
        ([""], "empty"),
        ([1], "no text"),
        ([], "no list"),
        ({"a": 1}, "no list"),
        (b"\xff", "no JSON"),
        (b"[" * 50_000, "no JSON"),
        (b"TERMINATION", "don't end"),
    ],
)
def test_a_refusal_is_the_text_of_the_clients_error(
    folder: Path, message: object, said: str
) -> None:
    async def work(front: ZeroMqFront, client: Callable[..., Client]) -> None:
        one = client(b"id")
        _, head, raw, _ = await one.ask(message)
        refused = json.loads(head)["dtype"]
        assert said in refused
        assert "," not in refused
        with pytest.raises(TypeError, match="refused"):
            np.frombuffer(raw, refused)
        assert (await one.ask(["good"], 2))[-1] == b"2"

    run_with(folder, work)


def test_a_model_without_vectors_says_so(graph_folder: Callable[..., Path]) -> None:
    async def work(front: ZeroMqFront, client: Callable[..., Client]) -> None:
        _, head, *_ = await client(b"id").ask(["good"])
        assert "gives no vectors" in json.loads(head)["dtype"]

    run_with(graph_folder(), work)


def test_frames_that_are_none_are_dropped_and_counted(folder: Path) -> None:
    async def work(front: ZeroMqFront, client: Callable[..., Client]) -> None:
        one = client(b"id")
        for frames in (
            [b"x"],
            [b"id", b"[]", b"x", b"1"],
            [b"id", b"[]", b"1", b"1", b"1"],
            [b"id", b"[]", b"9" * 30, b"1"],
            [b"id", b"[]", b"-1", b"1"],
        ):
            await one.push.send_multipart(frames)
        assert (await one.ask(["good"], 2))[-1] == b"2"
        assert front.dropped == 5

    run_with(folder, work)


def test_an_answer_waits_for_its_listener(folder: Path) -> None:
    async def work(front: ZeroMqFront, client: Callable[..., Client]) -> None:
        one = client(b"early", b"something else")
        await one.send(b'["good"]')
        await asyncio.sleep(0.1)
        one.sub.setsockopt(zmq.SUBSCRIBE, b"early")
        assert (await asyncio.wait_for(one.sub.recv_multipart(), 10))[-1] == b"1"

    run_with(folder, work)


def test_keys_stand_in_the_identity(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = add_key(path, "one")

    async def work(front: ZeroMqFront, client: Callable[..., Client]) -> None:
        assert len(await client(key.encode() + b":uuid").ask(["good"])) == 4
        _, head, *_ = await client(b"uuid").ask(["good"])
        assert "a key is needed" in json.loads(head)["dtype"]
        _, config, _ = await client(b"other").ask(b"SHOW_CONFIG")
        assert "a key is needed" in json.loads(config)["server_version"]

    run_with(folder, work, replace(INLINE, keys=path))


def test_a_port_that_is_taken_is_one_sentence(folder: Path) -> None:
    async def work(front: ZeroMqFront, client: Callable[..., Client]) -> None:
        other = ZeroMqFront(Service({}, INLINE, None, Metrics({})), port=front.ports[0], port_out=0)
        with pytest.raises(RunError, match="--bert-as-service-ports"):
            other.open()
        await other.close()

    run_with(folder, work)
