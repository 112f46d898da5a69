"""An engine's answers, held to its graph's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.artifacts.engine_record import Profile
from bertcompress.errors import (
    ParityError,
)
from bertcompress.passes.tensorrt.build_engine import BuildEngine
from bertcompress.passes.tensorrt.engine_parity import compared_shapes
from fixtures.engines import NEEDS_TRANSFORMERS_5, SHORT

pytestmark = NEEDS_TRANSFORMERS_5


Graphs = Callable[..., OnnxModel]


Fake = Callable[..., Any]


def test_an_engine_that_answers_differently_is_refused(
    tiny_graph: Graphs, fake_tensorrt: Fake
) -> None:
    fake_tensorrt().state.noise = 0.5
    with pytest.raises(ParityError, match="the engine answers differently"):
        BuildEngine(**SHORT)(tiny_graph())
    fake_tensorrt().state.noise = 0.5
    engine = BuildEngine(**SHORT, tolerance=1.0)(tiny_graph())
    assert engine.record.parity["largest_difference"] == pytest.approx(0.5, abs=1e-4)
    assert engine.record.parity["replayed_as_cuda_graphs"]


def test_single_texts_are_compared_at_three_lengths_and_batches_at_one() -> None:
    single = Profile((1, 1), (1, 9), (1, 16))
    batches = Profile((2, 4), (8, 12), (32, 64))

    assert compared_shapes([single, batches]) == ((1, 1), (1, 9), (1, 16), (2, 12))
    assert compared_shapes([single, single]) == ((1, 1), (1, 9), (1, 16))
