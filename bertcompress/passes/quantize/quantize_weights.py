"""Weights of 4 or 8 bits in blocks: the smallest file. For an encoder this is a size, not a speed.

Each block of a weight's input channels has a scale of its own (``MatMulNBits``), each row of an
embedding table too (``GatherBlockQuantized``); activations are quantized to INT8 by block while
the product runs (accuracy level 4). An encoder multiplies whole sentences at once, so it is bound
by arithmetic, and unpacking 4-bit weights is more of it: expect a smaller file that runs slower
than INT8, often than float.

With texts, weights are rounded by GPTQ and the biases make up for the mean of what is left;
without, to the range of least squared error. With a target for the file's size, each weight gets
the bits and blocks that cost the answers least (`bertcompress.passes.quantize.bit_budget`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bertcompress.artifacts.artifact import Artifact, Kind, OnnxModel, StepTimer
from bertcompress.errors import UsageError, did_you_mean
from bertcompress.examples import Example
from bertcompress.graph.products import HEADS
from bertcompress.numerics.blocks import BITS, BLOCK_SIZES, BlockFormat, fitting_block_size
from bertcompress.passes.base import graph_for
from bertcompress.passes.quantize.audit import check_patterns, finished, split_products
from bertcompress.passes.quantize.block_pieces import Piece, pieces_of
from bertcompress.passes.quantize.block_rounding import ROUNDINGS, WITH_DATA, format_for
from bertcompress.passes.quantize.block_work import (
    choose_formats,
    divergence,
    round_pieces,
    written,
)
from bertcompress.passes.quantize.input_statistics import Texts, draw_texts
from bertcompress.progress import Progress, silent

BLOCK_SIZE = 32
ABOUT = "4 bits make the file small; they do not make an encoder faster"


@dataclass(frozen=True)
class QuantizeWeights:
    """Quantizes weights only, in blocks.

    Attributes:
        examples: Texts like those that it will answer; labels are not looked at.
        bits: 4 or 8.
        block_size: Input channels that share a scale; None for 32.
        rounding: A name in `ROUNDINGS`; None for ``gptq`` with 4 bits and texts, else ``mse``.
        target_size: Bytes that the graph's file may have at most: bits and blocks are then chosen
            for each weight, from texts; None for the same everywhere.
        samples: Texts that are used; a quarter is held out.
        max_length: Where texts are cut, in tokens; None for the model's own limit.
        embeddings: Whether the embedding tables are quantized too.
        keep_float: Modules that stay in float, names or patterns.
        seed: Draws the texts, and the inputs on which the drift is measured.
    """

    examples: tuple[Example, ...] = ()
    bits: int = 4
    block_size: int | None = None
    rounding: str | None = None
    target_size: int | None = None
    samples: int = 400
    max_length: int | None = None
    embeddings: bool = True
    keep_float: tuple[str, ...] = HEADS
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        check_patterns(self.keep_float)
        check_blocks(self.bits, self.block_size)
        if self.rounding is not None and self.rounding not in ROUNDINGS:
            raise UsageError(
                f"rounding must be one of {', '.join(ROUNDINGS)}, got {self.rounding!r}"
                + did_you_mean(self.rounding, ROUNDINGS)
            )
        self._check_texts()

    def _check_texts(self) -> None:
        if self.samples < 2:
            raise UsageError(f"samples must be 2 or more, got {self.samples}")
        if self.rounding in WITH_DATA and not self.examples:
            raise UsageError(
                f"{self.rounding} rounds by what goes into each weight, and no texts were given; "
                "add --data, or take rounding mse, which needs none"
            )
        if self.target_size is None:
            return
        if self.target_size < 1:
            raise UsageError(f"target_size must be 1 or more bytes, got {self.target_size}")
        if self.block_size is not None:
            raise UsageError("target_size chooses the blocks; leave block_size out")
        if not self.examples:
            raise UsageError(
                "which weights can do with 4 bits is found on texts, and none were given; "
                "add --data, or leave target_size out"
            )

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> OnnxModel:
        """Returns the quantized graph; raises as `QuantizeStatic` does, and for texts and sizes.

        Raises:
            UsageError: If there are too few texts.
            SpeedGateError: If no choice of bits makes the file as small as asked.
        """
        model = graph_for(self, artifact)
        quantized, stay = split_products(model, self.keep_float)
        timer = StepTimer(model)
        pieces = pieces_of(model.graph, quantized, embeddings=self.embeddings)
        rounding, texts = self._rounding(), self._texts(model)
        tried = []
        for formats in self._formats(model, pieces, texts, progress):
            blocks = round_pieces(model, pieces, formats, rounding, texts, progress=progress)
            lost = None if texts is None else divergence(model, pieces, blocks, texts)
            tried.append((lost, formats, blocks))
        lost, formats, blocks = min(tried, key=lambda one: one[0] or 0.0)
        graph = written(model, pieces, blocks)
        details: dict[str, object] = {
            "rounding": f"{rounding}, {texts.count if texts else 0} texts",
            "size": f"{_megabytes(model.size_bytes)} before, {_megabytes(graph.ByteSize())} after",
            "note": ABOUT,
        }
        if lost is not None:
            details["divergence of answers"] = lost
        return finished(
            self,
            model,
            graph,
            timer=timer,
            quantized=quantized,
            stay=stay,
            seed=self.seed,
            details=details,
            precisions={p.module: str(f) for p, f in zip(pieces, formats, strict=True)},
        )

    def _rounding(self) -> str:
        if self.rounding is not None:
            return self.rounding
        return "gptq" if self.examples and self.bits == 4 else "mse"

    def _texts(self, model: OnnxModel) -> Texts | None:
        if self.target_size is None and self._rounding() not in WITH_DATA:
            return None
        return draw_texts(
            model,
            self.examples,
            samples=self.samples,
            max_length=self.max_length,
            seed=self.seed,
        )

    def _formats(
        self, model: OnnxModel, pieces: tuple[Piece, ...], texts: Texts | None, progress: Progress
    ) -> tuple[tuple[BlockFormat, ...], ...]:
        """Returns each piece's format, in one or more ways to compare."""
        if self.target_size is None or texts is None:
            return (tuple(self._format(model, piece) for piece in pieces),)
        return choose_formats(
            model,
            pieces,
            self._rounding(),
            texts,
            target=self.target_size,
            progress=progress,
        )

    def _format(self, model: OnnxModel, piece: Piece) -> BlockFormat:
        asked = BLOCK_SIZE if self.block_size is None else self.block_size
        block_size = fitting_block_size(asked, piece.columns)
        return format_for(piece.weight_in(model.graph), bits=self.bits, block_size=block_size)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


def check_blocks(bits: int, block_size: int | None) -> None:
    """Fails with a UsageError unless there are such blocks; None stands for any."""
    if bits not in BITS:
        raise UsageError(f"bits must be 4 or 8, got {bits}")
    if block_size is not None and block_size not in BLOCK_SIZES:
        raise UsageError(
            f"block_size must be one of {', '.join(map(str, BLOCK_SIZES))}, got {block_size}"
        )
