"""Attention masks that a model passes on to its layers as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bertcompress.bert.families import family_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def mask_for(model: PreTrainedModel) -> Callable[[torch.Tensor], torch.Tensor]:
    """Returns what makes a mask that the model passes on, of one that is ``[batch, sequence]``.

    Without it Transformers looks at the mask's values, which an exporter can't trace and a CUDA
    graph can't record.

    Transformers 5 passes on a boolean mask of four axes; in 4.57 DistilBERT wants two axes, and the
    others ``[batch, query, key]`` of numbers.
    """
    import torch
    import transformers

    def expanded(mask: torch.Tensor) -> torch.Tensor:
        return mask.bool()[:, None, None, :].expand(-1, 1, mask.shape[1], -1)

    if int(transformers.__version__.split(".")[0]) >= 5:
        return expanded
    if family_of(model.config).model_type == "distilbert":
        return lambda mask: mask
    return lambda mask: expanded(mask)[:, 0].to(torch.int64)
