"""Progress and notes: the library tells how far it is and what matters, the command shows it."""

from __future__ import annotations

import logging
from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Is told the stage, what is done of it and how much there is."""
Note = Callable[[str], None]
"""Is told what the user must know, a sentence at a time."""

_LOGGER = logging.getLogger(__name__)


def silent(stage: str, done: int, total: int) -> None:
    """Is the progress that nobody watches."""
    del stage, done, total


def logged(sentence: str) -> None:
    """Is the note that nobody asked for."""
    _LOGGER.info("%s", sentence)


def unsaid(sentence: str) -> None:
    """Is the note of a caller who wants none."""
    del sentence


def once(note: Note) -> Note:
    """Returns a note that passes on each sentence the first time only.

    >>> tell = once(print)
    >>> tell("so"), tell("so"), tell("or so")
    so
    or so
    (None, None, None)
    """
    said: set[str] = set()

    def tell(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            note(sentence)

    return tell
