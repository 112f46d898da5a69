"""Draws the library's progress on stderr: bars on a terminal, else one line a stage."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from bertcompress.formatting import duration_text
from bertcompress.progress import Progress
from bertcompress.sinks import for_terminal
from bertcompress_cli.output import say

if TYPE_CHECKING:
    from rich.progress import TaskID

FIRST_S, LINE_S = 5.0, 60.0
"""Where nobody looks at a terminal, a stage says first and then so often how far it is."""


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
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def draw(stage: str, done: int, total: int) -> None:
            stage = for_terminal(stage)
            key = _stage_of(stage)
            if key not in tasks or (bars.tasks[tasks[key]].finished and done < total):
                tasks[key] = bars.add_task(stage, total=max(total, 1))
            bars.update(tasks[key], description=stage, completed=done, total=max(total, 1))

        yield draw


class _Lines:
    """Prints a line when a stage begins, how long it will take, and the seconds that it took."""

    def __init__(self) -> None:
        self._stage = ""
        self._finished = ""
        self._started = 0.0
        self._told = 0.0
        self._foretold = False

    def __call__(self, stage: str, done: int, total: int) -> None:
        key = _stage_of(stage)
        if key == self._finished and done >= total:
            return
        now = time.monotonic()
        if key != self._stage:
            self._stage, self._started, self._foretold = key, now, False
            self._tell(f"{key} …", now)
        if done >= total:
            self._stage, self._finished = "", key
            seconds = now - self._started
            if seconds >= 1.0:
                self._tell(f"{key}: {seconds:.1f} s", now)
        elif done and now - self._told >= (LINE_S if self._foretold else FIRST_S):
            passed = now - self._started
            left = duration_text(passed / done * (total - done))
            self._foretold = True
            self._tell(f"{stage}: {done} of {total}, {passed:.0f} s, about {left} left", now)

    def _tell(self, line: str, now: float) -> None:
        self._told = now
        say(line)


def _stage_of(stage: str) -> str:
    """Returns the stage without the part that is at work: bars and lines are one a stage.

    >>> _stage_of("INT8, trained · train quantized, epoch 1")
    'INT8, trained · train quantized'
    """
    variant, mark, own = stage.rpartition(" · ")
    return variant + mark + own.split(",", maxsplit=1)[0]
