"""Notes are passed on once."""

from __future__ import annotations

import doctest

from bertcompress import progress
from bertcompress.progress import once


def test_the_examples_hold() -> None:
    assert doctest.testmod(progress).failed == 0


def test_each_note_remembers_for_itself() -> None:
    said: list[str] = []
    first, second = once(said.append), once(said.append)

    for tell in (first, first, second):
        tell("guessed")

    assert said == ["guessed", "guessed"]
