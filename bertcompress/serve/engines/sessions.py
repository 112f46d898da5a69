"""The weights of one engine, opened in up to two ways: for a lone text and for a queue of them.

A lone text is answered soonest by one runtime with all threads; of many texts the most are answered
by runtimes of one thread side by side, one an engine. So the first engine holds both.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bertcompress.inference.streams import Feed, Outputs
from bertcompress.runtimes import open_runtime
from bertcompress.runtimes.base import Runtime


@dataclass(frozen=True)
class EngineSettings:
    """What an engine opens.

    Attributes:
        folder: The artifact.
        runtime: The runtime's name.
        task: What a checkpoint is opened for, if it does not say it itself.
        narrow_threads: Threads of a batch from a queue.
        wide_threads: Threads of a lone text; as many as `narrow_threads` where this engine never
            has one.
    """

    folder: Path
    runtime: str
    task: str | None = None
    narrow_threads: int = 1
    wide_threads: int = 1


class Sessions:
    """One or two opened runtimes of an artifact; a context manager."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._opened = ExitStack()
        self._narrow: Runtime | None = None
        self._wide: Runtime | None = None

    def __enter__(self) -> Self:
        asked = self._settings
        self._narrow = self._wide = self._open(asked.narrow_threads)
        if asked.wide_threads != asked.narrow_threads:
            self._wide = self._open(asked.wide_threads)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    def run(self, feed: Feed, *, wide: bool) -> tuple[Outputs, float]:
        """Runs a batch and returns its outputs and the seconds that it took.

        Args:
            feed: The padded batch; inputs that the model does not take are left out.
            wide: Whether all threads are for this batch.

        Raises:
            RunError: If the runtime refuses it.
        """
        runtime = self._wide if wide else self._narrow
        assert runtime is not None, "the sessions were not entered"
        started = time.perf_counter()
        outputs = runtime.run({name: feed[name] for name in runtime.input_names})
        return outputs, time.perf_counter() - started

    def _open(self, threads: int) -> Runtime:
        asked = self._settings
        runtime = open_runtime(asked.folder, asked.runtime, threads=threads, task=asked.task)
        return self._opened.enter_context(runtime)
