"""Which bits each weight gets, so that the file is no larger than asked and answers differ least.

1. **What a piece costs the answers**: one weight alone in its coarsest blocks, everything else in
   float; the mean Kullback-Leibler divergence of the answers from the float graph's, on texts held
   out (`bertcompress.bert.answers.answer_loss`). Both are softened by a temperature of 4: a
   model is so sure of most texts that without it a few doubtful ones decide.
2. **What its other formats cost**: the same, scaled by the ratio of their squared errors at the
   product's outputs. A divergence is quadratic in a small error, and the ratio is far less noisy
   than two divergences near zero. It is taken from some rows: rows are rounded each alone.
3. **What each format weighs**: by writing it.
4. **The choice**: dynamic programming (`bertcompress.numerics.knapsack`) over what is left of the
   size when every piece has its smallest format.

Divergences of single pieces are added up; that they add is an assumption. So the choice is made
whole and compared by its divergence with the finest format that all pieces can have alike within
the size, and the better of both is taken (`bertcompress.passes.quantize.quantize_weights`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.bert.answers import answer_loss
from bertcompress.errors import SpeedGateError
from bertcompress.graph.edit import copy_of, initializer_values, replace_nodes
from bertcompress.graph.for_onnxruntime import shaped_for_onnxruntime
from bertcompress.graph.products import FLOAT
from bertcompress.numerics.block_grids import least_squares_grid
from bertcompress.numerics.blocks import (
    BITS,
    BLOCK_SIZES,
    BlockFormat,
    Floats,
    dequantized,
    nearest,
)
from bertcompress.numerics.gptq import Matrix, hessian_error
from bertcompress.numerics.knapsack import cheapest_within
from bertcompress.passes.quantize.blocks import BlockPiece
from bertcompress.runtimes.fitting import IN_MEMORY
from bertcompress.runtimes.ort.runtime import OrtRuntime
from bertcompress.tasks.base import IntArray

if TYPE_CHECKING:
    import onnx
    import torch

TEMPERATURE = 4.0
_ROWS_TRIED = 256
_DOMAIN_BYTES = 32
"""More than the declaration of one more domain and longer lengths take."""


@dataclass(frozen=True)
class Offer:
    """What the formats of one piece cost and weigh, in the same order."""

    piece: BlockPiece
    formats: tuple[BlockFormat, ...]
    losses: tuple[float, ...]
    sizes: tuple[int, ...]


class FloatAnswers:
    """The float graph with some of its weights given at each run; a context manager.

    Args:
        model: The float graph.
        weights: The initializers that may be replaced.
        batches: The texts that are answered.
    """

    def __init__(
        self,
        model: OnnxModel,
        weights: Sequence[str],
        batches: Sequence[dict[str, IntArray]],
    ) -> None:
        self._own = {name: initializer_values(model.graph, name) for name in weights}
        self._batches = batches
        self._problem = model.config.problem_type
        self._runtime = OrtRuntime(_with_inputs(model.graph, weights), threads=1, facts=IN_MEMORY)
        self._wanted: list[dict[str, torch.Tensor]] = []

    def __enter__(self) -> Self:
        self._runtime.__enter__()
        self._wanted = self._answers({})
        return self

    def __exit__(self, *raised: object) -> None:
        self._runtime.__exit__(None, None, None)

    def divergence(self, replaced: Mapping[str, Floats]) -> float:
        """Returns how far the answers move when weights are replaced, as the graph stores them."""
        import torch

        total = texts = 0.0
        for batch, wanted, given in zip(
            self._batches, self._wanted, self._answers(replaced), strict=True
        ):
            real = torch.from_numpy(batch["attention_mask"]).bool()
            loss = answer_loss(wanted, given, real, temperature=TEMPERATURE, problem=self._problem)
            total += float(loss) * len(real)
            texts += len(real)
        return max(0.0, total / texts)

    def _answers(self, replaced: Mapping[str, Floats]) -> list[dict[str, torch.Tensor]]:
        import torch

        answers = []
        for batch in self._batches:
            feed = {**batch, **self._own, **replaced}
            values = self._runtime.run({name: feed[name] for name in self._runtime.input_names})
            answers.append({name: torch.from_numpy(output) for name, output in values.items()})
        return answers


def _with_inputs(graph: onnx.ModelProto, names: Sequence[str]) -> bytes:
    """Returns the serialized graph with some initializers as inputs."""
    from onnx import helper

    copy = copy_of(graph)
    for tensor in graph.graph.initializer:
        if tensor.name in names:
            value = helper.make_tensor_value_info(tensor.name, FLOAT, list(tensor.dims))
            copy.graph.input.append(value)
    kept = [tensor for tensor in copy.graph.initializer if tensor.name not in names]
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(kept)
    serialized: bytes = copy.SerializeToString()
    return serialized


def formats_of(piece: BlockPiece) -> tuple[BlockFormat, ...]:
    """Returns the formats that a piece may have."""
    return tuple(
        BlockFormat(bits, size, symmetric)
        for bits in BITS
        for size in piece.block_sizes
        for symmetric in ((True, False) if bits == 4 else (True,))
    )


def coarsest(piece: BlockPiece) -> BlockFormat:
    """Returns the format whose divergence is measured."""
    return BlockFormat(min(BITS), piece.block_sizes[-1])


def offer(
    model: OnnxModel,
    piece: BlockPiece,
    *,
    divergence: float,
    hessian: Matrix | None,
    scaled: bool,
) -> Offer:
    """Returns what a piece's formats cost and weigh.

    Args:
        model: The float graph.
        piece: Which.
        divergence: Of the answers, with this piece alone in its `coarsest` format.
        hessian: What an error of its columns costs; None for all the same (tables).
        scaled: Whether its input channels are divided first.
    """
    weight = piece.weight_in(model.graph)
    rows = weight[:: max(1, len(weight) // _ROWS_TRIED)]
    each = np.eye(piece.columns) if hessian is None else hessian

    def error(format_: BlockFormat) -> float:
        became = dequantized(nearest(rows, least_squares_grid(rows, format_)))
        return hessian_error(rows - became, each)

    formats = formats_of(piece)
    worst = error(coarsest(piece))
    scale = divergence / worst if worst > 0 else 0.0
    return Offer(
        piece,
        formats,
        tuple(scale * error(candidate) for candidate in formats),
        tuple(piece.bytes_in(model.graph, candidate, scaled=scaled) for candidate in formats),
    )


def choices(
    model: OnnxModel, offers: Sequence[Offer], target: int
) -> tuple[tuple[BlockFormat, ...], ...]:
    """Returns each piece's format, in one or two ways: the cheapest by the offers, and all alike.

    Raises:
        SpeedGateError: If the file is larger than the target even in the smallest formats.
    """
    smallest = [min(offered.sizes) for offered in offers]
    least = bytes_beside(model.graph, [offered.piece for offered in offers]) + sum(smallest)
    if least > target:
        raise SpeedGateError(
            f"the smallest file with these weights in 4 bits has {least:,} bytes "
            f"({least / 1e6:.2f} MB), {target:,} were asked; prune first, or ask for that"
        )
    extra = [
        np.asarray(offered.sizes, dtype=np.float64) - low
        for offered, low in zip(offers, smallest, strict=True)
    ]
    losses = [np.asarray(offered.losses) for offered in offers]
    levels = cheapest_within(losses, extra, float(target - least)) or ()  # the smallest always fit
    cheapest = tuple(offered.formats[at] for offered, at in zip(offers, levels, strict=True))
    alike = _alike(offers, target - least + sum(smallest))
    return (cheapest,) if alike is None else (cheapest, alike)


def _alike(offers: Sequence[Offer], budget: int) -> tuple[BlockFormat, ...] | None:
    """Returns the finest format that all pieces can have within the budget, if there is one."""
    for bits in sorted(BITS, reverse=True):
        for block_size in BLOCK_SIZES:
            formats = tuple(
                BlockFormat(bits, min(block_size, offered.piece.block_sizes[-1]), bits == max(BITS))
                for offered in offers
            )
            sizes = (
                offered.sizes[offered.formats.index(format_)]
                for offered, format_ in zip(offers, formats, strict=True)
            )
            if sum(sizes) <= budget:
                return formats
    return None


def bytes_beside(graph: onnx.ModelProto, pieces: Sequence[BlockPiece]) -> int:
    """Returns the bytes of a graph without these pieces, shaped as it is written."""
    copy = shaped_for_onnxruntime(graph)
    replace_nodes(copy, {piece.part.node: () for piece in pieces})
    weights = {piece.weight for piece in pieces}
    others = [tensor for tensor in copy.graph.initializer if tensor.name not in weights]
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(others)
    return int(copy.ByteSize()) + _DOMAIN_BYTES
