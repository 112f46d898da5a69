"""Texts run through a float graph: what goes into its products, and what it answers.

Padding is left out of everything: a padded position reaches no answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.data.partition import hold_out, sample
from bertcompress.errors import PassError, UsageError
from bertcompress.examples import Example
from bertcompress.graph.edit import copy_of, drop_dead_nodes, drop_unused_initializers
from bertcompress.graph.products import FLOAT, WeightProduct
from bertcompress.inference.deployed import length_for
from bertcompress.inference.texts import Texts, padded_batches
from bertcompress.numerics.gram import Gram
from bertcompress.runtimes.fitting import IN_MEMORY
from bertcompress.runtimes.ort.runtime import OrtRuntime
from bertcompress.tasks.base import IntArray

if TYPE_CHECKING:
    import onnx

    from bertcompress.artifacts.artifact import OnnxModel

BATCH_SIZE = 16
TRIED_ON = 4
"""Of so many texts drawn one is tried on: fewer would not tell near ways apart."""
STATISTICS_BYTES = 512 * 2**20
"""What is kept of the inputs of products at a time; more products take another run."""


@dataclass(frozen=True)
class FittedTexts:
    """Padded batches of texts: those that weights are fitted to, and those held out."""

    fitted: tuple[dict[str, IntArray], ...]
    held_out: tuple[dict[str, IntArray], ...]
    count: int


@dataclass(frozen=True)
class InputStatistics:
    """What goes into a product.

    Attributes:
        mean: float64 ``[in]``.
        covariance: float64 ``[in, in]``.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


def draw_texts(
    model: OnnxModel,
    examples: Sequence[Example],
    *,
    samples: int,
    max_length: int | None,
    seed: int,
) -> FittedTexts:
    """Draws texts (stratified, seeded), tokenizes and pads them in batches of similar length.

    Raises:
        UsageError: There are fewer than two texts, or `max_length` is beyond the model's.
    """
    length_for(model, max_length)  # refuses a length before the number of texts
    if len(examples) < 2 or samples < 2:
        raise UsageError(
            f"weights are fitted to some texts and tried on others, got {len(examples)} texts and "
            f"samples {samples}; give some hundred"
        )
    drawn = sample(tuple(examples), min(samples, len(examples)), seed=seed)
    fitted, held_out = (
        Texts.of(model, part, max_length=max_length) for part in hold_out(drawn, one_in=TRIED_ON)
    )
    if not held_out.features:
        raise UsageError(
            "weights are fitted to some texts and tried on others, and all texts given are the "
            "same; give some hundred"
        )
    return FittedTexts(
        padded_batches(fitted.features, BATCH_SIZE, pad_token_id=fitted.pad_token_id),
        padded_batches(held_out.features, BATCH_SIZE, pad_token_id=fitted.pad_token_id),
        len(drawn),
    )


def input_statistics(
    graph: onnx.ModelProto,
    products: Sequence[WeightProduct],
    batches: Sequence[dict[str, IntArray]],
    *,
    limit_bytes: int = STATISTICS_BYTES,
) -> Iterator[tuple[tuple[WeightProduct, ...], dict[str, InputStatistics]]]:
    """Yields products with the statistics of their inputs, by the tensor's name.

    So many products at a time that the statistics fit in `limit_bytes` (one tensor's at least);
    the texts run once for each part, through no more of the graph than it needs.

    Raises:
        PassError: A tensor's padding can't be told from its shape.
    """
    for part in _parts(graph, products, limit_bytes):
        tensors = tuple(dict.fromkeys(product.tensor for product in part))
        yield part, _watch(graph, tensors, batches)


def _parts(
    graph: onnx.ModelProto, products: Sequence[WeightProduct], limit_bytes: int
) -> Iterator[tuple[WeightProduct, ...]]:
    widths = {tensor.name: int(tensor.dims[0]) for tensor in graph.graph.initializer if tensor.dims}
    part: list[WeightProduct] = []
    held, tensors = 0, set[str]()
    for product in products:
        needed = 0 if product.tensor in tensors else 16 * widths[product.weight] ** 2
        if part and needed and held + needed > limit_bytes:
            yield tuple(part)
            part, held, tensors = [], 0, set()
        part.append(product)
        tensors.add(product.tensor)
        held += needed
    if part:
        yield tuple(part)


def _watch(
    graph: onnx.ModelProto,
    tensors: Sequence[str],
    batches: Sequence[dict[str, IntArray]],
) -> dict[str, InputStatistics]:
    import torch

    grams: dict[str, Gram] = {}
    sums: dict[str, NDArray[np.float64]] = {}
    counts: Counter[str] = Counter()
    with OrtRuntime(watched(graph, tensors), threads=1, facts=IN_MEMORY) as runtime:
        for batch in batches:
            values = runtime.run({name: batch[name] for name in runtime.input_names})
            for tensor in tensors:
                seen = cast("NDArray[np.float32]", values[tensor])
                rows = without_padding(seen, batch["attention_mask"], tensor=tensor)
                width = rows.shape[1]
                grams.setdefault(tensor, Gram(width)).add(
                    torch.from_numpy(rows), torch.ones(len(rows))
                )
                sums[tensor] = sums.get(tensor, np.zeros(width)) + rows.sum(
                    axis=0, dtype=np.float64
                )
                counts[tensor] += len(rows)
    statistics = {}
    for tensor in tensors:
        mean = sums[tensor] / counts[tensor]
        second = grams.pop(tensor).total().numpy() / counts[tensor]
        statistics[tensor] = InputStatistics(mean, second - np.outer(mean, mean))
    return statistics


def watched(graph: onnx.ModelProto, tensors: Sequence[str]) -> bytes:
    """Returns the serialized graph with these tensors as its only outputs, and what they need."""
    import onnx

    copy = copy_of(graph)
    del copy.graph.output[:]
    for tensor in tensors:
        copy.graph.output.append(onnx.helper.make_tensor_value_info(tensor, FLOAT, None))
    drop_dead_nodes(copy)
    drop_unused_initializers(copy)
    serialized: bytes = copy.SerializeToString()
    return serialized


def without_padding(
    values: NDArray[np.float32], mask: IntArray, *, tensor: str
) -> NDArray[np.float32]:
    """Returns the rows of real tokens, ``[tokens, width]``.

    Args:
        values: ``[batch, sequence, width]``; ``[batch * sequence, width]``, as some exporters
            flatten it; or ``[batch, width]``, which has no padding (the pooler's input).
        mask: ``[batch, sequence]``, 1 for real tokens.
        tensor: Its name, for the error.
    """
    batch, sequence = mask.shape
    if values.ndim == 3 and values.shape[:2] == (batch, sequence):
        return np.asarray(values[mask.astype(bool)])
    if values.ndim == 2 and values.shape[0] == batch:
        return values
    if values.ndim == 2 and values.shape[0] == batch * sequence:
        return np.asarray(values[mask.reshape(-1).astype(bool)])
    raise PassError(
        f"the tensor {tensor} has shape {list(values.shape)} for a batch of {batch} × {sequence} "
        "tokens, so its padding can't be told; export the model again with bertcompress"
    )
