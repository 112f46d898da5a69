"""Texts without padding answer as padded ones do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bertcompress.artifacts.artifact import Checkpoint, save
from bertcompress.runtimes.torch.runtime import TorchRuntime
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
def test_packed_texts_answer_as_padded_ones_do(
    tiny_checkpoint: Callable[..., Checkpoint], task: str, difference_with: Difference
) -> None:
    difference, _ = difference_with(tiny_checkpoint(task=task).model, TorchSettings(packed=True))
    assert difference < 1e-5


def test_a_checkpoint_saved_runs_packed(
    tiny_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    folder = save(tiny_checkpoint(), tmp_path / "saved")
    settings = TorchSettings(packed=True, dtype="bfloat16")
    with TorchRuntime(folder, threads=1, settings=settings) as runtime:
        ids = np.asarray([[2, 90, 3]])
        feed = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
        assert runtime.run(feed)["logits"].dtype == np.float32
