"""Draws the library's progress on stderr: bars on a terminal, else one line a stage."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from bertcompress.progress import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """Gives the callback that library functions take; what they print goes to stderr too."""
    with redirect_stdout(sys.stderr):
        if not sys.stderr.isatty():
            yield _Lines()
            return
        with _bars() as draw:
            yield draw


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def draw(stage: str, done: int, total: int) -> None:
            key = _stage_of(stage)
            if key not in tasks or (bars.tasks[tasks[key]].finished and done < total):
                tasks[key] = bars.add_task(stage, total=max(total, 1))
            bars.update(tasks[key], description=stage, completed=done, total=max(total, 1))

        yield draw


class _Lines:
    """Prints a line when a stage begins, and the seconds when it took some."""

    def __init__(self) -> None:
        self._stage = ""
        self._finished = ""
        self._started = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        key = _stage_of(stage)
        if key == self._finished and done >= total:
            return
        if key != self._stage:
            self._stage, self._started = key, time.monotonic()
            print(f"{key} …", file=sys.stderr, flush=True)
        if done >= total:
            self._stage, self._finished = "", key
            seconds = time.monotonic() - self._started
            if seconds >= 1.0:
                print(f"{key}: {seconds:.1f} s", file=sys.stderr, flush=True)


def _stage_of(stage: str) -> str:
    """Returns the stage without the part that is at work: bars and lines are one a stage."""
    return stage.split(",", maxsplit=1)[0]
