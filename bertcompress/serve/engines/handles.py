"""The front's side of an engine: starts it, hands it batches, notices that it died.

`EngineProcess` is a process of its own: where it crashes, no client's connection goes with it.
`InlineEngine` runs the same sessions in a thread of the front, for tests and notebooks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Protocol

from bertcompress.bench.worker.client import thread_variables
from bertcompress.codec import to_plain
from bertcompress.errors import RunError
from bertcompress.inference.streams import Feed, Outputs
from bertcompress.serve.engines.sessions import EngineSettings, Sessions
from bertcompress.serve.wire import PREFIX, Message, body_length, packed, unpacked

START_SECONDS = 300.0
"""A large checkpoint on a slow disk takes its time."""


class EngineDiedError(RunError):
    """Says that an engine ended, or hung and was ended, in the middle of a batch."""


class BatchEngine(Protocol):
    """Runs one batch at a time."""

    async def start(self) -> None:
        """Opens the artifact; returns when it can run.

        Raises:
            BertCompressError: With the sentence that says why the artifact can't be run.
        """
        ...

    async def run(self, feed: Feed, *, wide: bool, seconds: float) -> tuple[Outputs, float]:
        """Runs a batch; returns its outputs and the seconds that it took.

        Args:
            feed: The padded batch.
            wide: Whether all threads are for this batch.
            seconds: After so long the engine is taken for hung.

        Raises:
            EngineDiedError: The engine is gone; a new one has to be started.
            RunError: The runtime refused the batch.
        """
        ...

    def kill(self) -> None:
        """Ends it at once."""
        ...


OnEnd = Callable[[], None]
MakeEngine = Callable[[EngineSettings, OnEnd], BatchEngine]
"""Makes an engine that is not started, and that tells when it ended unasked."""


class EngineProcess:
    """An engine in a process of its own.

    Args:
        settings: What it opens.
        on_end: Is called when the process ended and nobody had ended it.

    Attributes:
        pid: Its process, None before it was started.
    """

    def __init__(self, settings: EngineSettings, on_end: OnEnd) -> None:
        self._settings = settings
        self._on_end = on_end
        self._answer: asyncio.Future[Message] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.pid: int | None = None

    async def start(self) -> None:
        """Starts the process and waits until its sessions are open; see `BatchEngine.start`."""
        ours, theirs = socket.socketpair()
        threads = max(self._settings.narrow_threads, self._settings.wide_threads)
        with theirs:
            self._child = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "bertcompress.serve.engines.main"),
                    *(str(theirs.fileno()), json.dumps(to_plain(self._settings))),
                ],
                env={**os.environ, **thread_variables(threads), "BERTCOMPRESS_LAZY": "1"},
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.pid = self._child.pid
        self._reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        try:
            message = await asyncio.wait_for(self._receive(), START_SECONDS)
        except TimeoutError as error:
            self.kill()
            raise RunError(f"an engine did not open in {START_SECONDS:.0f} seconds") from error
        except BaseException:
            self.kill()
            raise
        if "refused" in message.head:
            self.kill()
            raise RunError(str(message.head["refused"]))
        self._listening = asyncio.create_task(self._listen())

    async def run(self, feed: Feed, *, wide: bool, seconds: float) -> tuple[Outputs, float]:
        """Sends a batch and waits for its outputs; see `BatchEngine.run`."""
        assert self._writer is not None, "the engine was not started"
        if self._listening is None or self._listening.done():
            raise EngineDiedError("an engine ended before a batch")
        ids = {name: values.astype("int32") for name, values in feed.items()}
        try:
            self._answer = asyncio.get_running_loop().create_future()
            self._writer.write(packed(Message({"wide": wide}, ids)))
            message = await asyncio.wait_for(self._answer, seconds)
        except TimeoutError as error:
            self.kill()
            raise EngineDiedError(f"an engine did not answer in {seconds:.0f} seconds") from error
        finally:
            self._answer = None
        if "error" in message.head:
            raise RunError(str(message.head["error"]))
        return message.arrays, float(str(message.head["seconds"]))

    def kill(self) -> None:
        """Ends the process, and waits for it."""
        if self._listening is not None:
            self._listening.cancel()
        if self._writer is not None:
            self._writer.close()
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            self._child.wait()

    async def _listen(self) -> None:
        """Gives each answer to who waits for it, and tells when the process has ended."""
        try:
            while True:
                message = await self._receive()
                if self._answer is not None and not self._answer.done():
                    self._answer.set_result(message)
        except EngineDiedError as error:
            self._listening = None
            self.kill()
            if self._answer is not None and not self._answer.done():
                self._answer.set_exception(error)
            else:
                self._on_end()

    async def _receive(self) -> Message:
        assert self._reader is not None
        try:
            length, head_length = body_length(await self._reader.readexactly(PREFIX.size))
            return unpacked(head_length, await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EngineDiedError("an engine ended in the middle of a batch") from error


class InlineEngine:
    """An engine in the front's own process: one batch at a time, in a thread."""

    def __init__(self, settings: EngineSettings, on_end: OnEnd) -> None:
        del on_end  # it ends with the front
        self._sessions = Sessions(settings)

    async def start(self) -> None:
        """Opens the sessions; see `BatchEngine.start`."""
        await asyncio.to_thread(self._sessions.__enter__)

    async def run(self, feed: Feed, *, wide: bool, seconds: float) -> tuple[Outputs, float]:
        """Runs a batch in a thread; `seconds` can't be kept there. See `BatchEngine.run`."""
        del seconds
        return await asyncio.to_thread(self._sessions.run, feed, wide=wide)

    def kill(self) -> None:
        """Gives the memory back."""
        self._sessions.__exit__(None, None, None)
