"""A gate needs a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Ok = Callable[..., str]


def test_an_accuracy_gate_is_exit_code_3(fails: Ok, here: Path, ok: Ok) -> None:
    assert "can't read" in fails(1, "gate", "nowhere", "--max-drop", "1%")
    assert "takes a quantity such as" in fails(2, "gate", "nowhere", "--max-drop", "little")
