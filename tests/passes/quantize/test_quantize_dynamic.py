"""Ranges as they come: what is refused, and what is left alone."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import (
    UsageError,
)
from bertcompress.passes.quantize.quantize_dynamic import QuantizeDynamic

Graphs = Callable[..., OnnxModel]


def test_the_quantizers_do_not_set_up_logging(
    tiny_graph: Graphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])  # a warning at the root would set one up
    before = (root.level, list(root.handlers), root.manager.disable)

    QuantizeDynamic()(tiny_graph())

    assert (root.level, list(root.handlers), root.manager.disable) == before


def test_a_target_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'avx2'"):
        QuantizeDynamic(target="avx")


def test_patterns_are_names() -> None:
    with pytest.raises(UsageError, match="keep_float takes module names"):
        QuantizeDynamic(keep_float=("",))
