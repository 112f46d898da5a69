"""A process that is killed is noticed, and a new one answers; no process is left."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from bertcompress.errors import RunError
from bertcompress.serve.engines.handles import EngineDiedError, EngineProcess, InlineEngine
from bertcompress.serve.engines.sessions import EngineSettings

FEED = {
    "input_ids": np.asarray([[1, 2, 3]]),
    "attention_mask": np.ones((1, 3), np.int64),
    "token_type_ids": np.zeros((1, 3), np.int64),
}


def nobody() -> None:
    """Is not told anything."""


@pytest.mark.parametrize("kind", [EngineProcess, InlineEngine])
def test_both_kinds_answer_alike(
    graph_folder: Callable[..., Path], kind: type[EngineProcess | InlineEngine]
) -> None:
    async def run() -> np.ndarray:
        engine = kind(EngineSettings(graph_folder(), "ort-cpu"), nobody)
        await engine.start()
        outputs, seconds = await engine.run(FEED, wide=True, seconds=30)
        assert seconds > 0
        engine.kill()
        return np.array(outputs["logits"])

    assert asyncio.run(run()).shape == (1, 2)


def test_a_killed_process_is_noticed(graph_folder: Callable[..., Path]) -> None:
    async def run() -> int:
        engine = EngineProcess(EngineSettings(graph_folder(), "ort-cpu"), nobody)
        await engine.start()
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGTERM)  # is the front's to obey
        await engine.run(FEED, wide=False, seconds=30)
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(EngineDiedError):
            await engine.run(FEED, wide=False, seconds=30)
        engine.kill()
        return engine.pid

    assert not psutil.pid_exists(asyncio.run(run()))


def test_an_end_while_idle_is_told(graph_folder: Callable[..., Path]) -> None:
    async def run() -> None:
        ended = asyncio.Event()
        engine = EngineProcess(EngineSettings(graph_folder(), "ort-cpu"), ended.set)
        await engine.start()
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        await asyncio.wait_for(ended.wait(), 20)
        assert not psutil.pid_exists(engine.pid)

    asyncio.run(run())


def test_an_engine_that_hangs_is_ended(graph_folder: Callable[..., Path]) -> None:
    async def run() -> int:
        engine = EngineProcess(EngineSettings(graph_folder(), "ort-cpu"), nobody)
        await engine.start()
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGSTOP)
        with pytest.raises(EngineDiedError, match="did not answer"):
            await engine.run(FEED, wide=False, seconds=0.2)
        return engine.pid

    assert not psutil.pid_exists(asyncio.run(run()))


def test_what_can_not_be_opened_is_one_sentence(tmp_path: Path) -> None:
    async def run() -> None:
        await EngineProcess(EngineSettings(tmp_path, "ort-cpu"), nobody).start()

    with pytest.raises(RunError, match=str(tmp_path)):
        asyncio.run(run())
