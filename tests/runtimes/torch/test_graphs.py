"""Recorded buckets answer as the model does, each shape once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.runtimes.torch.settings import TorchSettings
from tests.fixtures.recorder import EagerRecorder

if TYPE_CHECKING:
    from transformers import PreTrainedModel


Difference = Callable[["PreTrainedModel", TorchSettings], tuple[float, EagerRecorder]]
TASKS = (
    "text-classification",
    "token-classification",
    "question-answering",
    "feature-extraction",
)


@pytest.mark.parametrize("task", TASKS)
def test_recorded_buckets_answer_as_the_model_does(
    tiny_checkpoint: Callable[..., Checkpoint], task: str, difference_with: Difference
) -> None:
    difference, recorder = difference_with(
        tiny_checkpoint(task=task).model, TorchSettings(graphs=True)
    )
    assert difference < 1e-5
    assert len(set(recorder.shapes)) == len(recorder.shapes)  # each shape once
    assert (4, 16) in recorder.shapes  # 3 texts of 7 tokens
    assert (1, 128) in recorder.shapes  # 1 text of 100
