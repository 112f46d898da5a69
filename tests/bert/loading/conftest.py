"""Folders that a test may spoil."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def copy_of(tiny_folder: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """Gives a function that returns a folder that a test may spoil."""

    def make(task: str = "text-classification", **config: object) -> Path:
        folder = tmp_path / "model"
        shutil.copytree(tiny_folder(task=task), folder)
        raw = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**raw, **config}))
        return folder

    return make
