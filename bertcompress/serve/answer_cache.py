"""Answers that were given before, and those that are being computed: equal texts are run once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
_ENTRY_BYTES = 600
"""What an entry takes beside its text and its answer."""


@dataclass
class CacheCounts:
    """What was asked of a cache so far.

    Attributes:
        hits: Answers that were there.
        misses: Answers that were not.
        joins: Answers that were being computed.
        evictions: Answers that were dropped for others.
    """

    hits: int = 0
    misses: int = 0
    joins: int = 0
    evictions: int = 0


class AnswerCache(Generic[T]):
    """The answers used last, up to a number of bytes; a hit keeps an answer.

    Args:
        limit_bytes: The most that it holds; 0 holds none.
        seconds: How long an answer holds; None for as long as there is room.
        by_key: Whether each key has answers of its own: a fast answer tells that the text was asked
            before, and by whom is nobody's business.
    """

    def __init__(self, limit_bytes: int, *, seconds: float | None, by_key: bool) -> None:
        self._limit = limit_bytes
        self._seconds = seconds
        self._by_key = by_key
        self._entries: OrderedDict[Hashable, tuple[T, int, float]] = OrderedDict()
        self._running: dict[Hashable, asyncio.Future[T]] = {}
        self.size_bytes = 0
        self.counts = CacheCounts()

    def scope(self, key: str) -> str:
        """Returns what an asker's answers are kept under."""
        return key if self._by_key else ""

    def get(self, key: Hashable) -> T | None:
        """Returns the answer, None if it is not there."""
        entry = self._entries.get(key)
        if entry is None or entry[2] < time.monotonic():
            self.counts.misses += 1
            return None
        self._entries.move_to_end(key)
        self.counts.hits += 1
        return entry[0]

    def put(self, key: Hashable, answer: T, size_bytes: int) -> None:
        """Keeps an answer, and drops those used longest ago until there is room."""
        size = size_bytes + _ENTRY_BYTES
        if size > self._limit:
            return
        self._drop(key)
        until = float("inf") if self._seconds is None else time.monotonic() + self._seconds
        self._entries[key] = (answer, size, until)
        self.size_bytes += size
        while self.size_bytes > self._limit:
            self._drop(next(iter(self._entries)))
            self.counts.evictions += 1

    def running(self, key: Hashable) -> asyncio.Future[T] | None:
        """Returns the answer to be, if it is being computed."""
        found = self._running.get(key)
        self.counts.joins += found is not None
        return found

    @contextmanager
    def run(self, key: Hashable) -> Iterator[asyncio.Future[T]]:
        """Gives the future that others join; it fails as the block does."""
        future = self._running[key] = asyncio.get_running_loop().create_future()
        try:
            yield future
        except asyncio.CancelledError:
            future.cancel()  # those who joined ask again
            raise
        except BaseException as error:
            future.set_exception(error)
            future.exception()  # nobody has to be waiting
            raise
        finally:
            del self._running[key]

    def clear(self) -> None:
        """Forgets all answers."""
        self._entries.clear()
        self.size_bytes = 0

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size_bytes -= entry[1]
