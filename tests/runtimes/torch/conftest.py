"""What torch's settings change in a model's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from bertcompress.parity.outputs import compare_outputs, parity_feeds
from bertcompress.runtimes.torch.runtime import TorchRuntime
from bertcompress.runtimes.torch.settings import TorchSettings
from tests.fixtures.recorder import EagerRecorder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Difference = Callable[["PreTrainedModel", TorchSettings], tuple[float, EagerRecorder]]


@pytest.fixture
def difference_with() -> Difference:
    """Gives ``difference_with(model, settings)``: the largest difference, and what was recorded."""

    def run(model: PreTrainedModel, settings: TorchSettings) -> tuple[float, EagerRecorder]:
        feeds = parity_feeds(vocabulary=model.config.vocab_size, longest=100)
        recorder = EagerRecorder()
        with (
            TorchRuntime(model, threads=1) as first,
            TorchRuntime(model, threads=1, settings=settings, recorder=lambda: recorder) as other,
        ):
            assert first.outputs == other.outputs
            expected, got = [first.run(feed) for feed in feeds], [other.run(feed) for feed in feeds]
        return compare_outputs(expected, got, feeds).figures.largest_difference, recorder

    return run
