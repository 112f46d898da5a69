"""Bert-as-service's own protocol, for its stock client 1.10.0, over ZeroMQ.

    PULL  identity, message, request id, count        from clients
    XPUB  identity, JSON, [raw array,] request id     to the client of that identity

Its server published to whoever subscribed to a prefix; here a subscription holds for the whole
identity and no other: a zero byte ends the topic on both sides, which clients never look at. A
refusal reaches the stock client as the text of the error that it raises, where it used to wait for
ever. Whoever sends TERMINATION is not obeyed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence

import numpy as np
import zmq
import zmq.asyncio

from bertcompress.errors import BertCompressError, RunError
from bertcompress.serve.call import Service, check_texts, log_unforeseen
from bertcompress.serve.keys import Key
from bertcompress.serve.model import Asker, Given, Seconds, ServedModel, TextAnswer
from bertcompress.serve.refusals import RefusalError
from bertcompress.serve.routes.bert_as_service import SERVER_VERSION

_END = b"\0"
_JOINS_WITHIN_S = 5.0
_SOONEST_S = 0.001
"""The stock client notes a request after it has sent it: a faster answer finds nobody waiting."""
_SENDS_WITHIN_S = 30.0
_LONGEST_NUMBER = 19


class ZeroMqFront:
    """Answers clients of bert-as-service with the first model, which has to give vectors.

    Args:
        service: What all requests share.
        port: Where requests come in; 0 for a free one.
        port_out: Where answers go out; 0 for a free one.

    Attributes:
        ports: The two ports, once opened.
        dropped: Messages that were none.
    """

    def __init__(self, service: Service, *, port: int, port_out: int) -> None:
        self._service = service
        self._asked = (port, port_out)
        self._context = zmq.asyncio.Context()
        self._pull = self._context.socket(zmq.PULL)
        self._xpub = self._context.socket(zmq.XPUB)
        self._subscribed: Counter[bytes] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._requests = 0
        self.ports = (0, 0)
        self.dropped = 0

    def open(self) -> None:
        """Takes the ports.

        Raises:
            RunError: If one is taken.
        """
        self._pull.setsockopt(zmq.MAXMSGSIZE, self._service.settings.max_body_bytes)
        self._pull.setsockopt(zmq.RCVHWM, 1000)
        for option in (zmq.XPUB_MANUAL, zmq.XPUB_VERBOSER, zmq.XPUB_NODROP):
            self._xpub.setsockopt(option, 1)
        for socket in (self._pull, self._xpub):
            socket.setsockopt(zmq.LINGER, 1000)
        taken = []
        for socket, port in zip((self._pull, self._xpub), self._asked, strict=True):
            host = self._service.settings.host
            try:
                socket.bind(f"tcp://{host}:{port or '*'}")
            except zmq.ZMQError as error:
                raise RunError(
                    f"can't listen on port {port} of {host} for bert-as-service: {error}; give "
                    "other ports with --bert-as-service-ports"
                ) from error
            endpoint = str(socket.getsockopt_string(zmq.LAST_ENDPOINT))
            taken.append(int(endpoint.rpartition(":")[2].rstrip("\0")))
        self.ports = (taken[0], taken[1])
        for work in (self._receive(), self._subscribe()):
            self._start(work)

    async def close(self) -> None:
        """Gives what was accepted its time, and the ports back."""
        self._pull.close()
        answering = {task for task in self._tasks if task.get_name() == "answer"}
        if answering:
            await asyncio.wait(answering, timeout=self._service.settings.drain_limit)
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._xpub.close()
        self._context.term()

    def _start(self, work: Coroutine[object, object, None], name: str = "loop") -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _subscribe(self) -> None:
        """Grants each subscription for the whole identity that it names."""
        while True:
            message = await self._xpub.recv()
            joins, topic = message[:1] == b"\1", message[1:] + _END
            self._xpub.setsockopt(zmq.SUBSCRIBE if joins else zmq.UNSUBSCRIBE, topic)
            self._subscribed[topic] += 1 if joins else -1
            if self._subscribed[topic] <= 0:
                del self._subscribed[topic]

    async def _receive(self) -> None:
        while True:
            frames = await self._pull.recv_multipart()
            if len(frames) != 4 or not _is_number(frames[2]) or not _is_number(frames[3]):
                self.dropped += 1  # whose it was can't be known
                continue
            self._requests += 1
            self._start(self._answer(*frames[:3]), "answer")

    async def _answer(self, identity: bytes, message: bytes, number: bytes) -> None:
        started = time.monotonic()
        try:
            frames = await self._frames(identity, message)
        except (BertCompressError, RefusalError, _RefusedError) as error:
            frames = _refused(message, str(error))
        except Exception as error:
            log_unforeseen(error)
            frames = _refused(message, "it failed in a way that nobody foresaw")
        await asyncio.sleep(max(0.0, _SOONEST_S - (time.monotonic() - started)))
        await self._send([identity + _END, *frames, number])

    async def _send(self, frames: list[bytes]) -> None:
        """Sends an answer once its client listens; a client that reads slowly delays no other."""
        topic, begun = frames[0], time.monotonic()
        while topic not in self._subscribed and time.monotonic() - begun < _JOINS_WITHIN_S:
            await asyncio.sleep(0.005)
        while time.monotonic() - begun < _SENDS_WITHIN_S:
            try:
                await self._xpub.send_multipart(frames, flags=zmq.NOBLOCK)
            except zmq.Again:
                await asyncio.sleep(0.01)
            else:
                return
        self.dropped += 1

    async def _frames(self, identity: bytes, message: bytes) -> list[bytes]:
        key = self._key(identity)
        model = self._service.model()
        if message in (b"SHOW_CONFIG", b"SHOW_STATUS"):
            return [json.dumps(self._facts(model, status=message == b"SHOW_STATUS")).encode()]
        if message == b"TERMINATION":
            raise _RefusedError("clients don't end this server")
        if model.task != "feature-extraction":
            raise _RefusedError(f"{model.name} does {model.task} and gives no vectors")
        given = [Given(text) for text in _texts(message)]
        check_texts(given, self._service.settings)
        answers: list[TextAnswer] = []
        step = self._service.settings.max_texts
        for start in range(0, len(given), step):
            seconds = self._service.settings.max_queue_seconds + 120.0
            self._service.allowances.check(key)
            asker = Asker(key=key.id if key else "", bulk=True, deadline=time.monotonic() + seconds)
            part = await model.answers(given[start : start + step], asker, Seconds())
            self._service.allowances.spend(key, sum(answer.tokens for answer in part))
            answers += part
        vectors = np.stack([answer.vector for answer in answers])
        head = {"dtype": str(vectors.dtype), "shape": vectors.shape, "tokens": ""}
        return [json.dumps(head).encode(), vectors.tobytes()]

    def _key(self, identity: bytes) -> Key | None:
        """Returns whose request it is; with keys an identity is ``KEY:anything``."""
        if self._service.keys is None:
            return None
        given = identity.partition(b":")[0].decode("ascii", "replace")
        key = self._service.keys.find(given)
        if key is None or "infer" not in key.scopes:
            raise _RefusedError("a key is needed: BertClient(identity=b'KEY:' + a uuid)")
        return key

    def _facts(self, model: ServedModel, *, status: bool) -> Mapping[str, object]:
        facts = {
            "server_version": SERVER_VERSION,
            "max_seq_len": model.predictor.max_length,
            "show_tokens_to_client": False,
            "model_dir": model.name,
            "pooling_strategy": None,
            "port": self.ports[0],
            "port_out": self.ports[1],
            "num_concurrent_socket": 1,
            "num_worker": 1,
            "pyzmq_version": zmq.pyzmq_version(),
            "zmq_version": zmq.zmq_version(),
        }
        if status:
            facts["statistic"] = {
                "num_total_request": self._requests,
                "num_total_seq": model.dispatcher.counts.items,
                "num_active_client": len(self._subscribed),
            }
        return facts


class _RefusedError(Exception):
    """Says why a request is not answered."""


def _texts(message: bytes) -> Sequence[str]:
    """Reads the texts of a request.

    Raises:
        _RefusedError: It holds something else.
    """
    try:
        texts = json.loads(message)
    except (ValueError, RecursionError):
        raise _RefusedError("the request is no JSON list of texts") from None
    if not isinstance(texts, list) or not texts:
        raise _RefusedError("the request is no list of texts")
    for number, text in enumerate(texts, 1):
        if isinstance(text, list):
            raise _RefusedError("texts are split by the model's own tokenizer: send them whole")
        if not isinstance(text, str):
            raise _RefusedError(f"text {number} is no text")
        if "|||" in text:
            raise _RefusedError(f"text {number} is a pair and the model gives vectors of texts")
    return texts


def _refused(message: bytes, why: str) -> list[bytes]:
    """Returns a refusal that the stock client shows as its error; a comma would hide its start."""
    sentence = f"refused - {why}".replace(",", ";")
    if message in (b"SHOW_CONFIG", b"SHOW_STATUS"):
        return [json.dumps({"server_version": sentence, "max_seq_len": 1}).encode()]
    return [json.dumps({"dtype": sentence, "shape": [0], "tokens": ""}).encode(), b""]


def _is_number(frame: bytes) -> bool:
    return 0 < len(frame) <= _LONGEST_NUMBER and frame.isdigit()
