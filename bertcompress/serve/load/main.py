"""The loading process: reads a plan from standard input, asks, writes what came of it.

Requests are written beforehand, byte for byte, and answers are read only as far as their status and
length: a client library would take as long as the server does, and be what is measured. Nor is the
loop's own clock read, which is uvloop's and has whole milliseconds.

A closed loop shows how much a server can do; how soon it answers is shown only by requests that
come whether or not it is ready for them, with the time that each waited for a free connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import cast

from bertcompress.bench.worker.load import arrivals
from bertcompress.codec import from_plain, to_plain
from bertcompress.serve.load.plan import LoadPlan, LoadResult

_ANSWER_S = 60.0
_MOST_CONNECTIONS = 1024
Answered = Callable[["_Connection", int, bytes], None]


class _Connection(asyncio.Protocol):
    """One kept-alive connection that has at most one request under way."""

    def __init__(self, answered: Answered, lost: Callable[[_Connection], None]) -> None:
        self._answered, self._lost = answered, lost
        self._transport: asyncio.Transport | None = None
        self._got = b""
        self.number = 0
        self.since = 0.0
        self.busy = False
        self.is_open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, number: int, since: float) -> None:
        assert self._transport is not None
        self.number, self.since, self.busy = number, since, True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._got[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._got) < end + 4 + length:
            return
        body, self._got, self.busy = self._got[end + 4 :], b"", False
        self.is_open = b"\r\nconnection: close" not in head
        self._answered(self, int(head[9:12]), body)

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._lost(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Load:
    """One load under way."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan
        self._requests = [_request(plan, body) for body in plan.bodies]
        self._statuses: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._refused: list[float] = []
        self._wrong = 0
        self._late = 0.0
        self._sent = 0
        self._open: set[_Connection] = set()
        self._idle: list[_Connection] = []
        self._due: deque[float] = deque()
        self._opening = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._until = 0.0
        self._done = asyncio.Event()
        self._closed = plan.rate is None

    async def run(self) -> LoadResult:
        plan = self._plan
        for _ in range(plan.connections):
            self._idle.append(await self._connect())
        started = time.perf_counter()
        cpu = time.process_time()
        self._until = started + plan.seconds
        if plan.rate is None:
            for connection in list(self._idle):
                self._next(connection)
        else:
            times = arrivals(max(1, int(plan.rate * plan.seconds)), plan.rate, seed=plan.seed)
            for after in times.tolist():
                due = started + after
                await asyncio.sleep(due - time.perf_counter())
                self._due.append(due)
                self._feed()
        with contextlib.suppress(TimeoutError):
            while self._due or any(one.busy for one in self._open):
                self._done.clear()
                await asyncio.wait_for(self._done.wait(), _ANSWER_S)
        self._statuses["lost"] += len(self._due) + sum(one.busy for one in self._open)
        result = LoadResult(
            {name: count for name, count in self._statuses.items() if count},
            self._wrong,
            tuple(self._latencies),
            tuple(self._refused),
            time.perf_counter() - started,
            time.process_time() - cpu,
            self._late,
        )
        for connection in self._open:
            connection.close()
        return result

    async def _connect(self) -> _Connection:
        loop, plan = asyncio.get_running_loop(), self._plan
        _, connection = await loop.create_connection(
            lambda: _Connection(self._answered, self._lost), plan.host, plan.port
        )
        self._open.add(connection)
        return connection

    def _next(self, connection: _Connection, since: float | None = None) -> None:
        now = time.perf_counter()
        if since is None:
            if now >= self._until:
                return
        else:
            self._late = max(self._late, now - since)
        number = self._sent % len(self._requests)
        self._sent += 1
        connection.send(self._requests[number], number, now if since is None else since)

    def _feed(self) -> None:
        """Sends what is due on connections that are free; opens more where none is."""
        while self._due and self._idle:
            self._next(self._idle.pop(), self._due.popleft())
        missing = len(self._due) - self._opening
        room = _MOST_CONNECTIONS - len(self._open) - self._opening
        for _ in range(min(missing, room)):
            self._opening += 1
            task = asyncio.ensure_future(self._more())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _more(self) -> None:
        try:
            self._idle.append(await self._connect())
        except OSError:
            await asyncio.sleep(0.1)
        finally:
            self._opening -= 1
        self._feed()

    def _answered(self, connection: _Connection, status: int, body: bytes) -> None:
        seconds = time.perf_counter() - connection.since
        self._statuses[str(status)] += 1
        if status == 200:
            self._latencies.append(seconds)
            expected = self._plan.expected
            if expected and expected[connection.number].encode() not in body:
                self._wrong += 1
        elif status == 429:
            self._refused.append(seconds)
        self._free(connection)

    def _free(self, connection: _Connection) -> None:
        if not connection.is_open:
            connection.close()  # the server has said that it takes no more on this one
            self._feed()
        elif self._closed:
            self._next(connection)
        else:
            self._idle.append(connection)
            self._feed()
        self._done.set()

    def _lost(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.busy:
            connection.busy = False
            self._statuses["lost"] += 1
            self._done.set()


def _request(plan: LoadPlan, body: str) -> bytes:
    content = body.encode()
    lines = [
        f"POST {plan.path} HTTP/1.1",
        f"Host: {plan.host}:{plan.port}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *plan.headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def main() -> None:
    """Runs the plan of standard input."""
    import uvloop

    plan = from_plain(LoadPlan, json.load(sys.stdin))

    async def whole() -> LoadResult:
        return await _Load(plan).run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        json.dump(to_plain(runner.run(whole())), sys.stdout)


if __name__ == "__main__":
    main()
