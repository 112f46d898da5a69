"""RoBERTa, XLM-RoBERTa and CamemBERT with unequal layers; they are shaped like BERT's.

A copy of this file lies in the folder of such a model, beside one of `modeling_pruned_bert`, which
holds what families share and says how such folders are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import (
    CamembertConfig,
    CamembertForQuestionAnswering,
    CamembertForSequenceClassification,
    CamembertForTokenClassification,
    CamembertModel,
    RobertaConfig,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaForQuestionAnswering,
    XLMRobertaForSequenceClassification,
    XLMRobertaForTokenClassification,
    XLMRobertaModel,
)

from .modeling_pruned_bert import Unequal, take_widths


class PrunedRobertaConfig(RobertaConfig):
    """A RobertaConfig with the widths that each layer has left; see `PrunedBertConfig`."""

    model_type = "pruned_roberta"

    def __init__(
        self,
        layer_heads: Sequence[int] | None = None,
        layer_ffn: Sequence[int] | None = None,
        head_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        take_widths(self, layer_heads, layer_ffn, head_size, ffn=self.intermediate_size)


class PrunedRobertaModel(Unequal, RobertaModel):
    """`RobertaModel` with unequal layers."""

    config_class = PrunedRobertaConfig


class PrunedRobertaForSequenceClassification(Unequal, RobertaForSequenceClassification):
    """`RobertaForSequenceClassification` with unequal layers."""

    config_class = PrunedRobertaConfig


class PrunedRobertaForTokenClassification(Unequal, RobertaForTokenClassification):
    """`RobertaForTokenClassification` with unequal layers."""

    config_class = PrunedRobertaConfig


class PrunedRobertaForQuestionAnswering(Unequal, RobertaForQuestionAnswering):
    """`RobertaForQuestionAnswering` with unequal layers."""

    config_class = PrunedRobertaConfig


class PrunedXLMRobertaConfig(XLMRobertaConfig):
    """An XLMRobertaConfig with the widths that each layer has left; see `PrunedBertConfig`."""

    model_type = "pruned_xlm_roberta"

    def __init__(
        self,
        layer_heads: Sequence[int] | None = None,
        layer_ffn: Sequence[int] | None = None,
        head_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        take_widths(self, layer_heads, layer_ffn, head_size, ffn=self.intermediate_size)


class PrunedXLMRobertaModel(Unequal, XLMRobertaModel):
    """`XLMRobertaModel` with unequal layers."""

    config_class = PrunedXLMRobertaConfig


class PrunedXLMRobertaForSequenceClassification(Unequal, XLMRobertaForSequenceClassification):
    """`XLMRobertaForSequenceClassification` with unequal layers."""

    config_class = PrunedXLMRobertaConfig


class PrunedXLMRobertaForTokenClassification(Unequal, XLMRobertaForTokenClassification):
    """`XLMRobertaForTokenClassification` with unequal layers."""

    config_class = PrunedXLMRobertaConfig


class PrunedXLMRobertaForQuestionAnswering(Unequal, XLMRobertaForQuestionAnswering):
    """`XLMRobertaForQuestionAnswering` with unequal layers."""

    config_class = PrunedXLMRobertaConfig


class PrunedCamembertConfig(CamembertConfig):
    """A CamembertConfig with the widths that each layer has left; see `PrunedBertConfig`."""

    model_type = "pruned_camembert"

    def __init__(
        self,
        layer_heads: Sequence[int] | None = None,
        layer_ffn: Sequence[int] | None = None,
        head_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        take_widths(self, layer_heads, layer_ffn, head_size, ffn=self.intermediate_size)


class PrunedCamembertModel(Unequal, CamembertModel):
    """`CamembertModel` with unequal layers."""

    config_class = PrunedCamembertConfig


class PrunedCamembertForSequenceClassification(Unequal, CamembertForSequenceClassification):
    """`CamembertForSequenceClassification` with unequal layers."""

    config_class = PrunedCamembertConfig


class PrunedCamembertForTokenClassification(Unequal, CamembertForTokenClassification):
    """`CamembertForTokenClassification` with unequal layers."""

    config_class = PrunedCamembertConfig


class PrunedCamembertForQuestionAnswering(Unequal, CamembertForQuestionAnswering):
    """`CamembertForQuestionAnswering` with unequal layers."""

    config_class = PrunedCamembertConfig
