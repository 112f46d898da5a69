"""A model is opened as the server does, and what it is like is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from bertcompress.serve.server import check_models
from bertcompress.serve.settings import ModelSettings, ServeSettings


def test_a_check_answers_one_text(graph_folder: Callable[..., Path]) -> None:
    models = {"m": ModelSettings(graph_folder())}
    settings = ServeSettings(engines="inline")
    notes: list[str] = []
    found = asyncio.run(check_models(models, settings, "good film", note=notes.append))
    assert found[0].startswith("m: text-classification, version ")
    assert "answered 4 tokens" in found[-1]
