"""The configuration beside a graph is one that every tool reads."""

from __future__ import annotations

import json
from collections.abc import Callable

import transformers

from bertcompress.artifacts.artifact import Checkpoint
from bertcompress.bert.families import Family
from bertcompress.bert.stock import stock_config
from bertcompress.bert.surgery import cut


def test_a_pruned_models_configuration_is_its_familys_own(
    family: Family, tiny_family: Callable[..., Checkpoint]
) -> None:
    whole = tiny_family(family).model
    pruned = cut(whole, heads=((0, 2), (1,)), ffn=(tuple(range(10)), ()))
    assert pruned.config.model_type == family.pruned_type

    stock = stock_config(pruned)

    assert type(stock) is getattr(transformers, f"{family.prefix}Config")
    assert stock.architectures == [f"{family.prefix}ForSequenceClassification"]
    assert stock.id2label == {0: "negative", 1: "positive"}
    assert stock.vocab_size == whole.config.vocab_size
    assert stock.num_attention_heads == 4  # the unpruned model's; the graph has its own
    written = json.loads(stock.to_json_string())
    assert not {"layer_heads", "layer_ffn", "head_size", "auto_map"} & set(written)
