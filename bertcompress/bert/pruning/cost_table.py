"""What a model costs by the widths of its layers: time, parameters or operations.

The cost of a single sentence is taken as a sum::

    rest + sum over layers of heads(heads) + ffn(neurons)

**Parameters and operations** are such a sum exactly. With ``d`` the hidden size, ``k`` the head
size, and ``n`` the tokens of a text, a head has ``4 d k + 3 k`` parameters (its rows of query, key
and value with their biases, its columns of the output projection) and a neuron ``2 d + 1``. A
multiplication and an addition count as two operations, biases, softmax, activations and LayerNorms
are not counted::

    head:  8 n d k + 4 n^2 k        neuron:  4 n d

**Time** is measured on whole models: with ``T(h, f)`` the time of the model with `h` heads and `f`
neurons in each of its ``L`` layers::

    heads(h) = (T(h, F) - T(0, F)) / L        ffn(f) = (T(H, f) - T(H, 0)) / L

Whole models, because a single layer timed alone stays in the caches and looks faster than it is.
Between the widths measured, time is interpolated.

Source: the operations of an encoder as counted by Kwon et al. 2022, arXiv:2204.09656, appendix A.1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.structure import encoder_of, shape_of
from bertcompress.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

Measure = Literal["seconds", "parameters", "FLOPs"]


@dataclass(frozen=True)
class CostTable:
    """The cost of one layer's sub-layers by their width, and of all the rest.

    Attributes:
        rest: What does not depend on heads and neurons: embeddings, LayerNorms, the task's head.
        heads: Pairs of a number of heads and the cost of one layer's attention, rising.
        ffn: The same of FFN neurons.
        measure: What it counts.
        deployment: What time was measured on, as people read it: runtime, precision, threads, CPU.
    """

    rest: float
    heads: tuple[tuple[int, float], ...]
    ffn: tuple[tuple[int, float], ...]
    deployment: str = ""
    measure: Measure = "seconds"

    def heads_cost(self, counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the cost of a layer's attention for each number of heads."""
        return _interpolated(self.heads, counts)

    def ffn_cost(self, counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the cost of a layer's FFN for each number of neurons."""
        return _interpolated(self.ffn, counts)

    def predict(self, layer_heads: Sequence[int], layer_ffn: Sequence[int]) -> float:
        """Returns the cost of a model with these widths."""
        return float(
            self.rest + self.heads_cost(layer_heads).sum() + self.ffn_cost(layer_ffn).sum()
        )


def table_from_totals(
    totals: Mapping[tuple[int, int], float], *, layers: int, deployment: str = ""
) -> CostTable:
    """Takes the times of whole models apart.

    Args:
        totals: Seconds by (heads, neurons) of each layer. One model must have the most of both; all
            others have the most of one, and of each kind one has none of the other.
        layers: How many layers each of the models has.
        deployment: What it was measured on.

    Raises:
        UsageError: If a model is missing.
    """
    most_heads, most_ffn = max(h for h, _ in totals), max(f for _, f in totals)
    needed = {(most_heads, most_ffn), (0, most_ffn), (most_heads, 0)}
    if not needed <= totals.keys() or layers < 1:
        raise UsageError(f"a latency table needs the times of {sorted(needed - totals.keys())}")
    heads = _share({h: s for (h, f), s in totals.items() if f == most_ffn}, layers)
    ffn = _share({f: s for (h, f), s in totals.items() if h == most_heads}, layers)
    whole = totals[most_heads, most_ffn]
    return CostTable(whole - layers * (heads[-1][1] + ffn[-1][1]), heads, ffn, deployment)


def parameters_table(model: PreTrainedModel) -> CostTable:
    """Returns the parameters of the whole model by its widths."""
    shape = shape_of(model)
    head = 4 * shape.hidden_size * shape.head_size + 3 * shape.head_size
    neuron = 2 * shape.hidden_size + 1
    prunable = head * sum(shape.layer_heads) + neuron * sum(shape.layer_ffn)
    total = sum(parameter.numel() for parameter in model.parameters())
    return _table(model, float(total - prunable), float(head), float(neuron), "parameters")


def flops_table(model: PreTrainedModel, batches: Sequence[Batch]) -> CostTable:
    """Returns the mean operations of one text by the model's widths.

    Args:
        model: In evaluation mode.
        batches: Texts of the lengths that it will see; padding does not count.
    """
    shape = shape_of(model)
    lengths = [int(row) for batch in batches for row in batch.inputs["attention_mask"].sum(dim=1)]
    mean = sum(lengths) / len(lengths)
    squares = sum(length * length for length in lengths) / len(lengths)
    head = 8 * mean * shape.hidden_size * shape.head_size + 4 * squares * shape.head_size
    neuron = 4 * mean * shape.hidden_size
    return _table(model, _around(model, batches[0]), head, neuron, "FLOPs")


def _table(
    model: PreTrainedModel, rest: float, head: float, neuron: float, measure: Measure
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

    with contextlib.ExitStack() as hooks, torch.inference_mode():
        for module in model.modules():
            if isinstance(module, torch.nn.Linear) and module not in inside:
                hooks.callback(module.register_forward_hook(count).remove)
        model(**batch.inputs)
    return total / batch.size


def _share(totals: Mapping[int, float], layers: int) -> tuple[tuple[int, float], ...]:
    """Returns one layer's part for each width; more width never takes less time."""
    widths = sorted(totals)
    parts = np.asarray([(totals[width] - totals[0]) / layers for width in widths])
    rising = np.maximum.accumulate(np.maximum(parts, 0.0))
    return tuple((width, float(part)) for width, part in zip(widths, rising, strict=True))


def _interpolated(
    pairs: Sequence[tuple[int, float]], counts: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.float64]:
    xs, ys = zip(*pairs, strict=True)
    costs: NDArray[np.float64] = np.interp(np.asarray(counts, dtype=np.float64), xs, ys)
    return costs
