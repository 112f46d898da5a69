"""Owns the sockets and starts the front; where the front dies, another one takes its place.

The sockets stay open meanwhile: who connects waits for the new front and is not refused. The
supervisor holds no model and answers nobody, so nothing that is sent can end it. A front whose
supervisor was killed drains and ends, for its standard input has then ended.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from bertcompress.codec import to_plain
from bertcompress.errors import RunError, UsageError
from bertcompress.progress import Note, unsaid
from bertcompress.serve.keys import KeyFile
from bertcompress.serve.settings import ModelSettings, ServeSettings
from bertcompress.serve.sockets import check_tls, listening

_WAITS_S = (0.0, 0.2, 1.0, 5.0)
_STEADY_S = 60.0
"""A front that served so long starts the waits anew when it ends."""
_ENDING = (signal.SIGTERM, signal.SIGINT)
Ready = Callable[[str, tuple[str, ...]], None]


def serve(
    models: Mapping[str, ModelSettings],
    settings: ServeSettings,
    *,
    ready: Ready = lambda address, names: None,
    note: Note = unsaid,
) -> None:
    """Serves until a signal ends it.

    Args:
        models: By the name that requests use; the first is the one of requests that name none.
        settings: How.
        ready: Is told the address once requests are answered.
        note: Is told what the user must know of a model, and that a front was started again.

    Raises:
        BertCompressError: Before anything is served: an option, a model or the address is wrong.
    """
    settings.check()
    if not models:
        raise UsageError("there is no model to serve; type: bertcompress serve FOLDER")
    check_tls(settings)
    if settings.keys:
        KeyFile(settings.keys)
    with listening(settings) as listener:
        _Supervisor(models, settings, listener, ready=ready, note=note).run()


def start_front(
    listener: socket.socket, models: Mapping[str, ModelSettings], settings: ServeSettings
) -> subprocess.Popen[str]:
    """Starts a front, see `bertcompress.serve.front`; it ends with its standard input.

    Args:
        listener: Where it takes connections from.
        models: By name.
        settings: How it serves.
    """
    asked = json.dumps({"models": to_plain(models), "settings": to_plain(settings)})
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "bertcompress.serve.front", str(listener.fileno()), asked],
        # One text at a time is tokenized: threads for it only take the engines' cores.
        env={**os.environ, "BERTCOMPRESS_LAZY": "1", "TOKENIZERS_PARALLELISM": "false"},
        pass_fds=(listener.fileno(),),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is the supervisor's to pass on
    )


class _Supervisor:
    def __init__(
        self,
        models: Mapping[str, ModelSettings],
        settings: ServeSettings,
        listener: socket.socket,
        *,
        ready: Ready,
        note: Note,
    ) -> None:
        self._models, self._settings, self._listener = models, settings, listener
        self._tell_ready, self._note = ready, note
        self._front: subprocess.Popen[str] | None = None
        self._was_ready = self._ending = False

    def run(self) -> None:
        deaths = 0
        with self._signals():
            while True:
                started = time.monotonic()
                code = self._serve_once()
                if self._ending:
                    return
                if not self._was_ready:
                    raise RunError(f"the server ended before it was ready ({_how(code)})")
                deaths = 1 if time.monotonic() - started > _STEADY_S else deaths + 1
                self._note(f"the front ended ({_how(code)}) and is started again")
                time.sleep(_WAITS_S[min(deaths, len(_WAITS_S)) - 1])

    def _serve_once(self) -> int:
        """Starts a front, follows what it says, and returns its exit code."""
        front = self._front = start_front(self._listener, self._models, self._settings)
        try:
            assert front.stdout is not None
            for line in front.stdout:
                self._hear(json.loads(line))
            return front.wait()
        finally:
            front.kill()
            front.wait()
            for stream in (front.stdin, front.stdout):
                if stream is not None:
                    stream.close()

    def _hear(self, said: Mapping[str, object]) -> None:
        if "note" in said and not self._was_ready:
            self._note(str(said["note"]))
        if "refused" in said:
            self._refused(str(said["refused"]), said["code"])
        if "closing" in said and self._ending:
            self._listener.close()  # or who connects now would wait for nobody
        if "ready" in said and not self._was_ready:
            self._was_ready = True
            self._tell_ready(str(said["ready"]), tuple(self._models))

    def _refused(self, sentence: str, code: object) -> None:
        if self._was_ready:
            self._note(sentence)
            return
        error = RunError(sentence)
        error.exit_code = int(str(code))
        raise error

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._end) for number in _ENDING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        """Has the front drain; the second time, ends it at once."""
        del number, frame
        if self._front is None or not self._was_ready:
            raise KeyboardInterrupt
        if self._ending:
            self._front.kill()
        self._ending = True
        self._front.send_signal(signal.SIGTERM)


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
