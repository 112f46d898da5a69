"""A mask that the model passes on says what the plain one says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from transformers import PreTrainedModel

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.families import Family, input_names
from bertcompress.bert.masks import mask_for

Answer = Callable[[PreTrainedModel, Mapping[str, torch.Tensor]], torch.Tensor]


def test_the_answers_are_those_of_the_plain_mask(
    family: Family,
    tiny_family: Callable[..., Checkpoint],
    inputs: dict[str, torch.Tensor],
    answer: Answer,
) -> None:
    model = tiny_family(family).model
    plain = {**inputs, "input_ids": 5 + inputs["input_ids"] % 30}
    plain = {name: plain[name] for name in input_names(model.config)}
    passed_on = {**plain, "attention_mask": mask_for(model)(plain["attention_mask"])}
    all_seen = {**plain, "attention_mask": torch.ones_like(plain["attention_mask"])}

    expected = answer(model, plain)

    torch.testing.assert_close(answer(model, passed_on), expected, rtol=0, atol=1e-6)
    assert not torch.allclose(answer(model, all_seen), expected, atol=1e-4)  # padding matters
