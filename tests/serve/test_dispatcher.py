"""Batches reach engines, survive their deaths, and a text that kills engines fails alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bertcompress.errors import BertCompressError, RunError
from bertcompress.inference.streams import Feed, Outputs
from bertcompress.serve import dispatcher as dispatcher_module
from bertcompress.serve.batcher import QueueFullError, QueueLimits
from bertcompress.serve.dispatcher import Dispatcher, LateError
from bertcompress.serve.engines.handles import EngineDiedError
from bertcompress.serve.engines.sessions import EngineSettings
from bertcompress.tasks.base import Feature

POISON = 99


class FakeEngine:
    """Answers with the first id of each row; some ids kill it."""

    made: list[FakeEngine]

    def __init__(self, settings: EngineSettings, seconds: float = 0.0) -> None:
        self.settings = settings
        self.batches: list[tuple[int, bool]] = []
        self.killed = False
        self.seconds = seconds
        self.on_end: Callable[[], None] = lambda: None

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def run(self, feed: Feed, *, wide: bool, seconds: float) -> tuple[Outputs, float]:
        del seconds
        ids = feed["input_ids"]
        self.batches.append((len(ids), wide))
        await asyncio.sleep(self.seconds)
        if (ids == POISON).any():
            raise EngineDiedError("it ended")
        return {"logits": ids[:, :1].astype(np.float32)}, 0.001

    def kill(self) -> None:
        self.killed = True


def feature(first: int, length: int = 4) -> Feature:
    return Feature(0, {"input_ids": np.full(length, first, np.int64)})


def run_with(
    work: Callable[[Dispatcher, list[FakeEngine]], Awaitable[Any]],
    *,
    engines: int = 2,
    seconds: float = 0.0,
    limits: QueueLimits | None = None,
) -> Any:
    """Runs some work with a dispatcher of fake engines."""
    made: list[FakeEngine] = []

    def make(settings: EngineSettings, on_end: Callable[[], None]) -> FakeEngine:
        made.append(FakeEngine(settings, seconds))
        made[-1].on_end = on_end
        return made[-1]

    async def whole() -> Any:
        asked = EngineSettings(Path(), "fake", narrow_threads=1, wide_threads=2)
        opened = Dispatcher(
            asked, make, engines=engines, pad_token_id=0, limits=limits or QueueLimits()
        )
        await opened.start()
        try:
            return await work(opened, made)
        finally:
            await opened.close()

    return asyncio.run(whole())


async def ask(opened: Dispatcher, firsts: Sequence[int]) -> list[float]:
    deadline = time.monotonic() + 30
    rows = await opened.run([feature(first) for first in firsts], deadline=deadline)
    return [float(row["logits"][0]) for row in rows]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher_module, "_RESTART_WAIT_S", (0.0, 0.0))


def test_each_asker_gets_its_own_answers() -> None:
    async def work(opened: Dispatcher, made: list[FakeEngine]) -> None:
        groups = [[number, number + 1] for number in range(1, 60, 2)]
        found = await asyncio.gather(*(ask(opened, group) for group in groups))
        assert found == groups
        assert opened.counts.items == 60
        assert opened.counts.batches < 60

    run_with(work)


def test_a_lone_text_gets_all_threads_and_a_crowd_does_not() -> None:
    async def work(opened: Dispatcher, made: list[FakeEngine]) -> None:
        await ask(opened, [1])
        assert made[0].batches == [(1, True)]
        assert made[1].settings.wide_threads == made[1].settings.narrow_threads
        await asyncio.gather(*(ask(opened, [number]) for number in range(1, 50)))
        crowd = [wide for engine in made for _, wide in engine.batches[1:]]
        assert not any(crowd)
        for number in range(8):  # calm again
            await ask(opened, [number])
        assert made[0].batches[-1] == (1, True)

    run_with(work, seconds=0.001)


def test_a_batch_is_run_again_when_its_engine_dies() -> None:
    async def work(opened: Dispatcher, made: list[FakeEngine]) -> None:
        died = iter([True])
        run = FakeEngine.run

        async def once(self: FakeEngine, feed: Feed, **settings: Any) -> tuple[Outputs, float]:
            if next(died, False):
                raise EngineDiedError("killed")
            return await run(self, feed, **settings)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FakeEngine, "run", once)
            assert await ask(opened, [1, 2, 3]) == [1, 2, 3]
        assert opened.counts.restarts == 1

    run_with(work)


def test_an_engine_that_ends_idle_is_replaced_at_once() -> None:
    async def work(opened: Dispatcher, made: list[FakeEngine]) -> None:
        made[1].on_end()
        await asyncio.sleep(0.01)
        assert len(made) == 3
        assert opened.counts.restarts == 1
        assert await ask(opened, [1, 2]) == [1, 2]

    run_with(work)


def test_a_text_that_kills_engines_fails_alone() -> None:
    async def work(opened: Dispatcher, made: list[FakeEngine]) -> None:
        texts = [1, 2, 3, POISON, 5, 6, 7, 8]
        results = await asyncio.gather(
            *(ask(opened, [first]) for first in texts), return_exceptions=True
        )
        [error] = [one for one in results if isinstance(one, BaseException)]
        assert isinstance(error, RunError)
        assert "ended its engine" in str(error)
        assert results.index(error) == 3
        assert await ask(opened, [4]) == [4]

    run_with(work)


def test_a_refusal_of_the_runtime_reaches_who_asked() -> None:
    async def work(opened: Dispatcher, made: list[FakeEngine]) -> None:
        async def refuse(self: FakeEngine, feed: Feed, **settings: Any) -> tuple[Outputs, float]:
            raise RunError("too many positions")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FakeEngine, "run", refuse)
            with pytest.raises(RunError, match="positions"):
                await ask(opened, [1])
        assert await ask(opened, [1]) == [1]

    run_with(work)


def test_an_engine_that_does_not_start_again_fails_its_batch_only() -> None:
    async def work(opened: Dispatcher, made: list[FakeEngine]) -> None:
        async def gone(self: FakeEngine) -> None:
            raise RunError("the file is gone")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FakeEngine, "start", gone)
            with pytest.raises(BertCompressError, match=r"gone|ended its engine"):
                await ask(opened, [POISON])
        assert await ask(opened, [4]) == [4]

    run_with(work, engines=1)


def test_what_is_too_late_is_told() -> None:
    async def work(opened: Dispatcher, made: list[FakeEngine]) -> None:
        with pytest.raises(LateError):
            await opened.run([feature(1)], deadline=time.monotonic() - 1)

    run_with(work)


def test_more_than_may_wait_is_refused_at_once() -> None:
    async def work(opened: Dispatcher, made: list[FakeEngine]) -> None:
        with pytest.raises(QueueFullError):
            await ask(opened, [1, 2, 3])

    run_with(work, limits=QueueLimits(items=2))


def test_who_leaves_takes_its_texts_along() -> None:
    async def work(opened: Dispatcher, made: list[FakeEngine]) -> None:
        first = asyncio.create_task(ask(opened, [1]))
        await asyncio.sleep(0.005)
        leaving = asyncio.create_task(ask(opened, [2, 3, 4]))
        await asyncio.sleep(0.005)
        leaving.cancel()
        await first
        assert await ask(opened, [5]) == [5]
        assert sum(count for engine in made for count, _ in engine.batches) == 2

    run_with(work, engines=1, seconds=0.05)


def test_the_wait_is_foretold_from_what_tokens_cost() -> None:
    async def work(opened: Dispatcher, made: list[FakeEngine]) -> None:
        assert opened.wait_seconds() == 0.0
        await ask(opened, [1])
        asking = [asyncio.create_task(ask(opened, [1])) for _ in range(8)]
        await asyncio.sleep(0.01)
        assert opened.wait_seconds() > 0
        await asyncio.gather(*asking)

    run_with(work, engines=1, seconds=0.05, limits=QueueLimits(batch_size=1))


def test_there_is_an_engine() -> None:
    with pytest.raises(RunError, match="1 engine or more"):
        run_with(lambda opened, made: asyncio.sleep(0), engines=0)
