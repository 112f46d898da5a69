"""An encoder with all that makes one vector of a text, as one torch module.

What `bertcompress.tasks.sentence_embedding` computes after the model, for a batch with padding:
prompt and cut stay with the texts, everything from the token vectors to the last step is in here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bertcompress.bert.pooling import pooling_module
from bertcompress.errors import UsageError
from bertcompress.tasks.sentence_embedding import SentenceEmbedding

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

OUTPUT = "sentence_embedding"


def embedding_model(
    encoder: PreTrainedModel, task: SentenceEmbedding, expand: Callable[[Tensor], Tensor]
) -> Any:
    """Returns a module that gives ``sentence_embedding``, float32 ``[batch, size]``.

    Args:
        encoder: In evaluation mode.
        task: Says how its token vectors become one.
        expand: Makes the mask that the encoder takes of one that is ``[batch, sequence]``.

    Raises:
        UsageError: The prompt's tokens are left out, which a graph can't tell from a text's.
    """
    import torch

    if task.texts.prompt and not task.include_prompt:
        raise UsageError(
            "a graph can't leave a prompt's tokens out of the pooling (include_prompt is false); "
            "leave --pooled out"
        )
    made = pooling_module(task)

    class EmbeddingModel(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.pooling = encoder, made
            self.config = encoder.config

        def forward(self, attention_mask: Tensor, **inputs: Tensor) -> Mapping[str, Tensor]:
            states = self.model(attention_mask=expand(attention_mask), **inputs)[0]
            return {OUTPUT: self.pooling(states, attention_mask)}

    return EmbeddingModel().eval()
