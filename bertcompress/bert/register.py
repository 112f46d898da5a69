"""Tells Transformers of the pruned model classes, so that Auto classes load their folders."""

from __future__ import annotations

from typing import Any

from transformers import (  # type: ignore[attr-defined]  # BertTokenizerFast is an alias in 5.x
    AutoConfig,
    AutoModel,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertTokenizer,
    BertTokenizerFast,
)

from bertcompress.bert.modeling_pruned_bert import (
    PrunedBertConfig,
    PrunedBertForQuestionAnswering,
    PrunedBertForSequenceClassification,
    PrunedBertForTokenClassification,
    PrunedBertModel,
)

AUTO_CLASSES: tuple[tuple[Any, str, Any], ...] = (
    (AutoModel, "AutoModel", PrunedBertModel),
    (
        AutoModelForSequenceClassification,
        "AutoModelForSequenceClassification",
        PrunedBertForSequenceClassification,
    ),
    (
        AutoModelForTokenClassification,
        "AutoModelForTokenClassification",
        PrunedBertForTokenClassification,
    ),
    (
        AutoModelForQuestionAnswering,
        "AutoModelForQuestionAnswering",
        PrunedBertForQuestionAnswering,
    ),
)


def register() -> None:
    """Registers the classes; calling it again changes nothing.

    Folders written afterwards carry a copy of the modelling file and an ``auto_map``.
    """
    config_class: Any = PrunedBertConfig
    tokenizer_auto: Any = AutoTokenizer
    AutoConfig.register(config_class.model_type, config_class, exist_ok=True)
    config_class.register_for_auto_class()
    for auto, name, model_class in AUTO_CLASSES:
        auto.register(config_class, model_class, exist_ok=True)
        model_class.register_for_auto_class(name)
    tokenizer_auto.register(
        config_class,
        slow_tokenizer_class=BertTokenizer if BertTokenizer is not BertTokenizerFast else None,
        fast_tokenizer_class=BertTokenizerFast,
        exist_ok=True,
    )
