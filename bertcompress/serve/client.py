"""Asks a server: lists of any length, sent in parts, again where it was busy or away.

Every call only reads, so that it can be sent again when a connection broke; where the server says
that it is busy (429) or not ready (503), it is asked again after the time that it named, or after
one drawn below a bound that doubles (Brooker 2015, "full jitter"), until the client's own time is
up.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import MissingDependencyError, RunError

try:
    import httpx2 as httpx
except ImportError as error:
    raise MissingDependencyError("httpx2", "serve", "asking a server") from error

Input = str | Sequence[str] | Mapping[str, str]
"""A text, a pair of texts, or ``{"question": …, "context": …}``."""
Result = dict[str, object]
_AGAIN = (429, 503)
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_AT_ONCE = 4


class RequestError(RunError):
    """Says what a server refused.

    Attributes:
        status: The HTTP status; None where no answer came.
        kind: The server's word for it, such as ``too_long``.
    """

    def __init__(self, message: str, status: int | None = None, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class _Asking:
    """One request with its tries, whoever sends it."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._bound = _FIRST_WAIT_S

    @property
    def left(self) -> float:
        """Seconds that the next try has."""
        return max(0.1, self._until - time.monotonic())

    def result(self, response: httpx.Response) -> Result | None:
        """Returns the answer; None if the request is to be sent again.

        Raises:
            RequestError: The server refused it for good.
        """
        if response.status_code == 200:
            return cast("Result", response.json())
        if response.status_code in _AGAIN and time.monotonic() < self._until:
            return None
        try:
            said = response.json()
            detail, kind = str(said["detail"]), str(said["error_type"])
        except (ValueError, KeyError, TypeError):
            detail, kind = response.text[:200], ""
        raise RequestError(detail, response.status_code, kind)

    def lost(self, error: httpx.TransportError) -> None:
        """Fails when there is no time for another try.

        Raises:
            RequestError: With what went wrong.
        """
        if time.monotonic() >= self._until:
            what = str(error) or type(error).__name__
            raise RequestError(f"the server did not answer: {what}") from error

    def wait(self, response: httpx.Response | None) -> float:
        """Returns the seconds to wait before the next try."""
        drawn = random.uniform(0, self._bound)
        self._bound = min(2 * self._bound, _LONGEST_WAIT_S)
        told = response.headers.get("retry-after", "") if response is not None else ""
        named = float(told) if told.isdecimal() else 0.0
        return max(0.0, min(named + drawn, self._until - time.monotonic()))


class _Calls:
    """What both clients send and how they read it."""

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        model: str | None = None,
        seconds: float = 60.0,
        texts_per_request: int = 64,
        bulk: bool = False,
    ) -> None:
        if texts_per_request < 1:
            raise RunError(f"texts_per_request must be 1 or more, got {texts_per_request}")
        self._model = model
        self._seconds = seconds
        self._size = texts_per_request
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if bulk:
            headers["X-Priority"] = "bulk"
        self._address, self._headers = address, headers

    def _bodies(
        self, inputs: Sequence[Input], *, truncate: bool, top_k: int | None
    ) -> Iterator[dict[str, object]]:
        options: dict[str, object] = {"truncate": truncate}
        if self._model is not None:
            options["model"] = self._model
        if top_k is not None:
            options["top_k"] = top_k
        plain = [one if isinstance(one, str | Mapping) else list(one) for one in inputs]
        for start in range(0, len(plain), self._size):
            yield {"inputs": plain[start : start + self._size], "options": options}


def _results(answers: Sequence[Result]) -> list[Result]:
    return [one for answer in answers for one in cast("list[Result]", answer["results"])]


def _vectors(results: Sequence[Result]) -> NDArray[np.float32]:
    return np.asarray([one["embedding"] for one in results], np.float32)


class Client(_Calls):
    """Asks a server from plain code; a context manager.

    Args:
        address: Where it listens.
        key: A key, where it needs one.
        model: Which of its models; its first if None.
        seconds: After so long a request is given up, tries and waits included.
        texts_per_request: Longer lists are sent in parts of so many.
        bulk: Whether others go first.
    """

    def __enter__(self) -> Self:
        self._http = httpx.Client(base_url=self._address, headers=self._headers)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def predict(
        self, inputs: Sequence[Input], *, truncate: bool = True, top_k: int | None = None
    ) -> list[Result]:
        """Returns what the model says of each input, as ``POST /predict`` gives it.

        Args:
            inputs: The texts, pairs or questions.
            truncate: Whether those that are too long are cut, which each answer tells.
            top_k: So many labels each, the likeliest first; all if None.

        Raises:
            RequestError: The server refused one, or did not answer in time.
        """
        bodies = self._bodies(inputs, truncate=truncate, top_k=top_k)
        return _results([self._ask("/predict", body) for body in bodies])

    def embed(self, inputs: Sequence[Input], *, truncate: bool = True) -> NDArray[np.float32]:
        """Returns the inputs' vectors, float32 ``[inputs, size]``; raises as `predict` does."""
        bodies = self._bodies(inputs, truncate=truncate, top_k=None)
        return _vectors(_results([self._ask("/embed", body) for body in bodies]))

    def _ask(self, path: str, body: Mapping[str, object]) -> Result:
        asking = _Asking(self._seconds)
        while True:
            response = None
            try:
                response = self._http.post(path, json=body, timeout=asking.left)
            except httpx.TransportError as error:
                asking.lost(error)
            else:
                if (result := asking.result(response)) is not None:
                    return result
            time.sleep(asking.wait(response))


class AsyncClient(_Calls):
    """`Client` for asyncio; an asynchronous context manager. Four parts are sent at once."""

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncClient(base_url=self._address, headers=self._headers)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def predict(
        self, inputs: Sequence[Input], *, truncate: bool = True, top_k: int | None = None
    ) -> list[Result]:
        """See `Client.predict`."""
        bodies = self._bodies(inputs, truncate=truncate, top_k=top_k)
        return _results(await asyncio.gather(*(self._ask("/predict", body) for body in bodies)))

    async def embed(self, inputs: Sequence[Input], *, truncate: bool = True) -> NDArray[np.float32]:
        """See `Client.embed`."""
        bodies = self._bodies(inputs, truncate=truncate, top_k=None)
        return _vectors(
            _results(await asyncio.gather(*(self._ask("/embed", body) for body in bodies)))
        )

    async def _ask(self, path: str, body: Mapping[str, object]) -> Result:
        asking = _Asking(self._seconds)
        async with self._turns:
            while True:
                response = None
                try:
                    response = await self._http.post(path, json=body, timeout=asking.left)
                except httpx.TransportError as error:
                    asking.lost(error)
                else:
                    if (result := asking.result(response)) is not None:
                        return result
                await asyncio.sleep(asking.wait(response))
