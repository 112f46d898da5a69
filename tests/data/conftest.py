"""The real data sets, through `shared`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def shared() -> Path:
    named = os.environ.get("BERTCOMPRESS_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[2].parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder of real models and data beside the checkout")
    return folder
