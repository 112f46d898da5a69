"""Tells Transformers of the pruned model classes, so that Auto classes load their folders."""

from __future__ import annotations

import importlib
from typing import Any

import transformers
from transformers import AutoConfig, AutoTokenizer
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING

from bertcompress.bert.families import FAMILIES, Family

AUTO_CLASSES = {
    "Model": "AutoModel",
    "ForSequenceClassification": "AutoModelForSequenceClassification",
    "ForTokenClassification": "AutoModelForTokenClassification",
    "ForQuestionAnswering": "AutoModelForQuestionAnswering",
}
"""What the names of model classes end in, and the Auto class that finds them."""


def pruned_class(family: Family, ending: str) -> Any:
    """Returns a family's pruned class: its configuration (``Config``) or a model.

    >>> from bertcompress.bert.families import check_model_type
    >>> pruned_class(check_model_type("roberta"), "Model").__name__
    'PrunedRobertaModel'
    """
    module = importlib.import_module(f"bertcompress.bert.{family.modeling}")
    return getattr(module, f"Pruned{family.prefix}{ending}")


def register() -> None:
    """Registers the classes; calling it again changes nothing.

    Folders written afterwards carry a copy of the modelling file and an ``auto_map``.
    """
    for family in FAMILIES:
        config_class = pruned_class(family, "Config")
        AutoConfig.register(config_class.model_type, config_class, exist_ok=True)
        config_class.register_for_auto_class()
        for ending, name in AUTO_CLASSES.items():
            model_class = pruned_class(family, ending)
            getattr(transformers, name).register(config_class, model_class, exist_ok=True)
            model_class.register_for_auto_class(name)
        _register_tokenizer(family, config_class)


def _register_tokenizer(family: Family, config_class: Any) -> None:
    """Gives a pruned family the tokenizers that Transformers has for the stock one."""
    tokenizer_auto: Any = AutoTokenizer
    found: Any = TOKENIZER_MAPPING[getattr(transformers, f"{family.prefix}Config")]
    slow, fast = found if isinstance(found, tuple) else (None, found)  # 4.57 has two, 5.x one
    tokenizer_auto.register(
        config_class, slow_tokenizer_class=slow, fast_tokenizer_class=fast, exist_ok=True
    )
