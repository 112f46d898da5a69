"""Tells Transformers of the pruned model classes, so that Auto classes load their folders."""

from __future__ import annotations

from transformers import (
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

AUTO_CLASSES = (
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
    (AutoModelForQuestionAnswering, "AutoModelForQuestionAnswering", PrunedBertForQuestionAnswering),
)


def register() -> None:
    """Registers the classes; calling it again changes nothing.

    Folders written afterwards carry a copy of the modelling file and an ``auto_map``.
    """
    AutoConfig.register(PrunedBertConfig.model_type, PrunedBertConfig, exist_ok=True)
    PrunedBertConfig.register_for_auto_class()
    for auto, name, model in AUTO_CLASSES:
        auto.register(PrunedBertConfig, model, exist_ok=True)
        model.register_for_auto_class(name)
    AutoTokenizer.register(
        PrunedBertConfig,
        slow_tokenizer_class=BertTokenizer if BertTokenizer is not BertTokenizerFast else None,
        fast_tokenizer_class=BertTokenizerFast,
        exist_ok=True,
    )
