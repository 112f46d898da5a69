"""Progress: the library tells how far it is, the command draws the bar."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Is told the stage, what is done of it and how much there is."""


def silent(stage: str, done: int, total: int) -> None:
    """Is the progress that nobody watches."""
    del stage, done, total
