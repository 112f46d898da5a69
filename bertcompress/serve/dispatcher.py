"""Hands what waits to the engines, and what they answer to who asked.

A lone text gets the first engine with all threads while the others rest; as soon as something waits
while an engine works, batches of one thread run side by side, until for some batches in a row
nothing waited.

A batch whose engine died is run again before all others, once as it was, then in halves: a text
that kills engines is found so, and fails alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from bertcompress.errors import BertCompressError, RunError
from bertcompress.inference.streams import Outputs, unpadded
from bertcompress.serve.batcher import BatchCost, Batcher, Item, QueueLimits
from bertcompress.serve.engines.handles import BatchEngine, EngineDiedError, MakeEngine
from bertcompress.serve.engines.sessions import EngineSettings
from bertcompress.tasks.base import Feature, pad

_LOGGER = logging.getLogger(__name__)
_CALM = 4
"""After so many batches with nothing left waiting a lone text gets all threads again."""
_HANGS_AFTER_S = 60.0
_RESTART_WAIT_S = (0.0, 0.2, 1.0, 5.0)


class LateError(RunError):
    """Says that a text could not be run before its deadline."""


def _future() -> asyncio.Future[Outputs]:
    return asyncio.get_running_loop().create_future()


@dataclass(eq=False)
class _Asked(Item):
    """An item, and who waits for its outputs."""

    answer: asyncio.Future[Outputs] = field(default_factory=_future)


@dataclass
class _Batch:
    items: list[_Asked]
    tries: int


@dataclass
class DispatchCounts:
    """What was done so far, for metrics.

    Attributes:
        batches: Batches that were answered.
        items: Texts that were answered.
        tokens: Their tokens.
        padded: Positions that were computed, padding too.
        seconds: What the engines computed.
        restarts: Engines that were started in place of dead ones.
        wide: Batches that had all threads.
    """

    batches: int = 0
    items: int = 0
    tokens: int = 0
    padded: int = 0
    seconds: float = 0.0
    restarts: int = 0
    wide: int = 0


class Dispatcher:
    """Owns the queue and the engines of one model.

    Args:
        settings: What each engine opens.
        make_engine: Makes one that is not started.
        engines: How many.
        pad_token_id: The tokenizer's padding token.
        limits: Of the queue and of batches.
        cost: What a batch costs, if that was measured.

    Attributes:
        queue: What waits.
        counts: What was done so far.
    """

    def __init__(
        self,
        settings: EngineSettings,
        make_engine: MakeEngine,
        *,
        engines: int,
        pad_token_id: int,
        limits: QueueLimits,
        cost: BatchCost | None = None,
    ) -> None:
        if engines < 1:
            raise RunError(f"there must be 1 engine or more, got {engines}")
        self._settings = settings
        self._make_engine = make_engine
        self._engines: list[BatchEngine | None] = [None] * engines
        self._pad_token_id = pad_token_id
        self.queue = Batcher[_Asked](limits, clock=time.monotonic, cost=cost)
        self._retries: deque[_Batch] = deque()
        self._wake = asyncio.Event()
        self._busy: set[int] = set()
        self._calm = _CALM
        self._tasks: list[asyncio.Task[None]] = []
        self._per_token_s = 0.0
        self.counts = DispatchCounts()

    @property
    def layout(self) -> str:
        """The engines and their threads, in words."""
        asked = self._settings
        return (
            f"{len(self._engines)} engines of {asked.narrow_threads} threads, a lone text gets "
            f"{asked.wide_threads}"
        )

    async def start(self) -> None:
        """Starts all engines.

        Raises:
            BertCompressError: The artifact can't be run.
        """
        await asyncio.gather(*(self._start_engine(number) for number in range(len(self._engines))))
        self._tasks = [
            asyncio.create_task(self._work(number)) for number in range(len(self._engines))
        ]

    async def close(self) -> None:
        """Ends all engines; what still waits fails."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for engine in self._engines:
            if engine is not None:
                engine.kill()

    def wait_seconds(self) -> float:
        """Returns how long an item that comes now will wait, from what tokens cost so far."""
        return self.queue.tokens * self._per_token_s / len(self._engines)

    async def run(
        self, features: Sequence[Feature], *, key: str = "", bulk: bool = False, deadline: float
    ) -> list[Outputs]:
        """Returns the outputs of each feature, without batch axis and padding.

        Args:
            features: Of one text, or of several.
            key: Whose they are.
            bulk: Whether others go first.
            deadline: When nobody waits any more, `time.monotonic` seconds.

        Raises:
            QueueFullError: Too much waits already.
            LateError: The deadline passed before they were run.
            RunError: The runtime refused them.
        """
        items = [
            _Asked(feature, key=key, priority="bulk" if bulk else "interactive", deadline=deadline)
            for feature in features
        ]
        self.queue.add(items)
        self._wake.set()
        try:
            return [await item.answer for item in items]
        except BaseException:
            for item in items:
                self.queue.cancel(item)
                item.answer.cancel()
            raise

    async def _work(self, number: int) -> None:
        """Is the life of one engine: takes the next batch whenever it is free."""
        while True:
            work = self._next(number)
            if work is None and self._engines[number] is None:
                await self._replace_idle(number)
            elif work is None:
                self._wake.clear()
                await self._wake.wait()
            else:
                self._busy.add(number)
                try:
                    await self._run(number, work)
                finally:
                    self._busy.discard(number)

    def _next(self, number: int) -> _Batch | None:
        if self._retries:
            return self._retries.popleft()
        if number > 0 and not self._busy and self._calm >= _CALM and len(self.queue) <= 1:
            return None  # a lone text is the first engine's
        taken, late = self.queue.take()
        for item in late:
            _fail(item, LateError("the text waited until its deadline"))
        return _Batch(taken, 0) if taken else None

    async def _run(self, number: int, work: _Batch) -> None:
        batch = [item for item in work.items if not item.cancelled]
        if not batch:
            return
        crowded = len(self.queue) > 0 or len(self._busy) > 1 or len(batch) > 1
        self._calm = 0 if crowded else self._calm + 1
        wide = number == 0 and self._calm > _CALM
        features = [item.feature for item in batch]
        feed = pad(features, pad_token_id=self._pad_token_id)
        try:
            engine = self._engines[number] or await self._restart(number)
            outputs, seconds = await engine.run(feed, wide=wide, seconds=_HANGS_AFTER_S)
        except EngineDiedError as error:
            self._engines[number] = None
            _LOGGER.warning("%s; its %d texts are run again", error, len(batch))
            self._again(_Batch(batch, work.tries + 1), error)
            return
        except BertCompressError as error:
            for item in batch:
                _fail(item, error)
            return
        self._count(feed["input_ids"].size, features, seconds, wide=wide)
        longest = max(feature.length for feature in features)
        for row, item in enumerate(batch):
            if not item.answer.done():
                item.answer.set_result(unpadded(outputs, row, item.length, longest))

    def _again(self, work: _Batch, error: BertCompressError) -> None:
        if work.tries == 1:
            parts = [work]
        elif len(work.items) == 1:
            _fail(work.items[0], RunError(f"the text ended its engine {work.tries} times: {error}"))
            return
        else:
            half = len(work.items) // 2
            parts = [replace(work, items=work.items[:half]), replace(work, items=work.items[half:])]
        self._retries.extendleft(reversed(parts))
        self._wake.set()

    async def _start_engine(self, number: int) -> BatchEngine:
        settings = self._settings
        if number > 0:
            settings = replace(settings, wide_threads=settings.narrow_threads)
        engine = self._make_engine(settings, partial(self._ended, number))
        await engine.start()
        self._engines[number] = engine
        return engine

    def _ended(self, number: int) -> None:
        """Is told that an engine ended while it had nothing to do."""
        _LOGGER.warning("an engine ended while it had nothing to do; it is started again")
        self._engines[number] = None
        self._wake.set()

    async def _replace_idle(self, number: int) -> None:
        """Starts an engine that nobody waits for yet; if that fails, again with the next text."""
        try:
            await self._restart(number)
        except BertCompressError as error:
            _LOGGER.warning("an engine does not start: %s", error)
            self._wake.clear()
            await self._wake.wait()

    async def _restart(self, number: int) -> BatchEngine:
        """Starts an engine in place of a dead one, later each time that it does not start."""
        for wait in _RESTART_WAIT_S:
            await asyncio.sleep(wait)
            self.counts.restarts += 1
            try:
                return await self._start_engine(number)
            except BertCompressError as error:
                failed = error
        raise failed

    def _count(
        self, padded: int, features: Sequence[Feature], seconds: float, *, wide: bool
    ) -> None:
        counts, tokens = self.counts, sum(feature.length for feature in features)
        counts.batches += 1
        counts.items += len(features)
        counts.tokens += tokens
        counts.padded += padded
        counts.seconds += seconds
        counts.wide += wide
        measured = seconds / tokens
        self._per_token_s += 0.1 * (measured - self._per_token_s) if self._per_token_s else measured


def _fail(item: _Asked, error: BertCompressError) -> None:
    if not item.answer.done():
        item.answer.set_exception(error)
