"""What heads and neurons are in parameters and in operations, as tables that targets are met by.

With ``d`` the hidden size, ``k`` the head size, and ``n`` the tokens of a text, a head has
``4 d k + 3 k`` parameters (its rows of query, key and value with their biases, its columns of the
output projection) and a neuron ``2 d + 1``. A multiplication and an addition count as two
operations, biases, softmax, activations and LayerNorms are not counted::

    head:  8 n d k + 4 n^2 k        neuron:  4 n d

Source: the operations of an encoder as counted by Kwon et al. 2022, arXiv:2204.09656, appendix A.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.cost_table import CostTable
from bertcompress.bert.structure import encoder_of, shape_of

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel


def parameters_table(model: PreTrainedModel) -> CostTable:
    """Returns the parameters of the whole model by its widths."""
    shape = shape_of(model)
    head = 4 * shape.hidden_size * shape.head_size + 3 * shape.head_size
    neuron = 2 * shape.hidden_size + 1
    own = head * sum(shape.layer_heads) + neuron * sum(shape.layer_ffn)
    total = sum(one.numel() for one in model.parameters())
    return _table(model, float(total - own), float(head), float(neuron), "parameters")


def flops_table(model: PreTrainedModel, batches: Sequence[Batch]) -> CostTable:
    """Returns the mean operations of one text by the model's widths.

    Args:
        model: In evaluation mode.
        batches: Texts of the lengths that it will see; padding does not count.
    """
    shape = shape_of(model)
    lengths = [int(one) for batch in batches for one in batch.inputs["attention_mask"].sum(dim=1)]
    mean = sum(lengths) / len(lengths)
    squares = sum(one * one for one in lengths) / len(lengths)
    head = 8 * mean * shape.hidden_size * shape.head_size + 4 * squares * shape.head_size
    neuron = 4 * mean * shape.hidden_size
    return _table(model, _around(model, batches[0]), head, neuron, "FLOPs")


def _table(
    model: PreTrainedModel, rest: float, head: float, neuron: float, measure: Any
) -> CostTable:
    shape = shape_of(model)
    most_heads, most_ffn = max(shape.layer_heads), max(shape.layer_ffn)
    return CostTable(
        rest,
        ((0, 0.0), (most_heads or 1, (most_heads or 1) * head)),
        ((0, 0.0), (most_ffn or 1, (most_ffn or 1) * neuron)),
        measure=measure,
    )


def _around(model: PreTrainedModel, batch: Batch) -> float:
    """Returns the operations of one text in products outside the layers: pooler, task's head."""
    import torch

    inside = set(encoder_of(model).layer.modules())
    positions = batch.inputs["attention_mask"].numel()
    real = int(batch.inputs["attention_mask"].sum())
    total = 0.0

    def count(module: nn.Linear, _: Any, output: torch.Tensor) -> None:
        nonlocal total
        share = real / positions if output.dim() == 3 else 1.0
        total += 2.0 * output.numel() * module.in_features * share

    hooks = [
        module.register_forward_hook(count)
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and module not in inside
    ]
    try:
        with torch.inference_mode():
            model(**batch.inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return total / batch.size
