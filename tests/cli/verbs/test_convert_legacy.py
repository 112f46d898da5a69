"""Folders of before are converted where there is something to convert."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Ok = Callable[..., str]


def test_convert_legacy_says_when_there_is_nothing_to_convert(
    fails: Ok, here: Path, model: Path
) -> None:
    assert "has no pruned_heads" in fails(2, "convert-legacy", model, "-o", "new")
    assert not (here / "new").exists()
