"""ELECTRA with unequal layers; they are shaped like BERT's.

A copy of this file lies in the folder of such a model, beside one of `modeling_pruned_bert`, which
holds what families share and says how such folders are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import (
    ElectraConfig,
    ElectraForQuestionAnswering,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    ElectraModel,
)

from .modeling_pruned_bert import Unequal, take_widths


class PrunedElectraConfig(ElectraConfig):
    """An ElectraConfig with the widths that each layer has left; see `PrunedBertConfig`."""

    model_type = "pruned_electra"

    def __init__(
        self,
        layer_heads: Sequence[int] | None = None,
        layer_ffn: Sequence[int] | None = None,
        head_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        take_widths(self, layer_heads, layer_ffn, head_size, ffn=self.intermediate_size)


class PrunedElectraModel(Unequal, ElectraModel):
    """`ElectraModel` with unequal layers."""

    config_class = PrunedElectraConfig


class PrunedElectraForSequenceClassification(Unequal, ElectraForSequenceClassification):
    """`ElectraForSequenceClassification` with unequal layers."""

    config_class = PrunedElectraConfig


class PrunedElectraForTokenClassification(Unequal, ElectraForTokenClassification):
    """`ElectraForTokenClassification` with unequal layers."""

    config_class = PrunedElectraConfig


class PrunedElectraForQuestionAnswering(Unequal, ElectraForQuestionAnswering):
    """`ElectraForQuestionAnswering` with unequal layers."""

    config_class = PrunedElectraConfig
