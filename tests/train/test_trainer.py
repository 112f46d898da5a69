"""What passes that train have in common: their schedule, and the library that they need."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import pytest

from bertcompress.errors import MissingDependencyError, UsageError
from bertcompress.train.trainer import Schedule, require_accelerate

SCHEDULE = Schedule(1.0, 1e-3, 8, 0.1, 0.01, 0)


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "accelerate" else find(name)
    )
    with pytest.raises(MissingDependencyError, match=r"bertcompress\[train\]"):
        require_accelerate("fine-tuning")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"epochs": 0}, "epochs must be above 0"),
        ({"learning_rate": 5}, "5e-5 is usual"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"warmup_fraction": 1.0}, "warmup_fraction must be in"),
    ],
)
def test_bad_settings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        replace(SCHEDULE, **settings)
