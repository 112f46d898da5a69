"""Transformers knows the pruned classes once told, and again changes nothing."""

from __future__ import annotations

import pytest
import transformers
from transformers import (  # type: ignore[attr-defined]  # BertTokenizerFast is an alias in 5.x
    AutoConfig,
    BertTokenizerFast,
)
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING

from bertcompress.bert.modeling_pruned_bert import PrunedBertConfig
from bertcompress.bert.register import AUTO_CLASSES, register


@pytest.mark.parametrize("times", [1, 2])
def test_registered_classes_are_found(times: int) -> None:
    for _ in range(times):
        register()

    config = AutoConfig.for_model("pruned_bert", num_hidden_layers=1, layer_heads=[2])
    assert type(config) is PrunedBertConfig
    small = PrunedBertConfig(
        vocab_size=10,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=4,
    )
    for ending, name in AUTO_CLASSES.items():
        made = getattr(transformers, name).from_config(small)
        assert type(made).__name__ == f"PrunedBert{ending}"
    assert BertTokenizerFast in _flat(TOKENIZER_MAPPING[PrunedBertConfig])


def _flat(found: object) -> tuple[object, ...]:
    return found if isinstance(found, tuple) else (found,)
