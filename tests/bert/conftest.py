"""Inputs, and what a model answers to them, as one tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

TASKS = (
    "text-classification",
    "token-classification",
    "question-answering",
    "feature-extraction",
)


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    """Three sentences of 9, 6 and 4 tokens, padded."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 100, (3, 9), generator=generator)
    mask = torch.ones_like(ids)
    types = torch.zeros_like(ids)
    types[0, 5:] = 1
    for row, length in enumerate((9, 6, 4)):
        mask[row, length:] = 0
        ids[row, length:] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


@pytest.fixture
def answer() -> Callable[[PreTrainedModel, Mapping[str, torch.Tensor]], torch.Tensor]:
    """Gives a function that returns all of a model's logits (or states) as one tensor."""

    def run(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            outputs: Any = model(**inputs)
        if "start_logits" in outputs:
            return torch.stack([outputs.start_logits, outputs.end_logits])
        found: torch.Tensor = outputs.logits if "logits" in outputs else outputs.last_hidden_state
        return found

    return run
