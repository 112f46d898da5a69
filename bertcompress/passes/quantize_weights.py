"""Weights of 4 bits in blocks: the smallest file. For an encoder this is a size, not a speed.

Each block of a weight's input channels has a scale of its own (``MatMulNBits``, symmetric,
round to nearest); activations are quantized to INT8 by block while the product runs (accuracy
level 4). An encoder multiplies whole sentences at once, so it is bound by arithmetic, and unpacking
4-bit weights is more of it: expect a smaller file that runs slower than INT8, often than float.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np

from bertcompress.artifact import Artifact, Kind, OnnxModel, StepTimer
from bertcompress.errors import UsageError
from bertcompress.graph.edit import copy_of, drop_unused_initializers
from bertcompress.graph.embeddings import SMALLEST_TABLE, quantize_embeddings
from bertcompress.graph.products import embedding_tables
from bertcompress.passes.base import graph_for
from bertcompress.passes.quantized import (
    HEADS,
    check_patterns,
    finished,
    split_products,
    without_advice,
)
from bertcompress.progress import Progress, silent
from bertcompress.runtimes.ort_runtime import import_onnxruntime

if TYPE_CHECKING:
    import onnx

BITS = (4, 8)
BLOCK_SIZES = (16, 32, 64, 128, 256)
_BITS_OF_GATHER = 4
"""ONNX Runtime gathers from packed tables of 4 bits only; others become INT8 by row."""

_INT8_ARITHMETIC = 4
"""The kernel's accuracy level: activations are quantized to INT8 by block."""


@dataclass(frozen=True)
class QuantizeWeights:
    """Quantizes weights only, in blocks.

    Attributes:
        bits: 4 or 8.
        block_size: Input channels that share a scale.
        embeddings: Whether the embedding tables are quantized too, to the same bits.
        keep_float: Modules that stay in float, names or patterns.
        seed: Draws the inputs on which the drift is measured.
    """

    bits: int = 4
    block_size: int = 32
    embeddings: bool = True
    keep_float: tuple[str, ...] = HEADS
    seed: int = 0

    consumes: ClassVar[Kind] = "onnx"
    produces: ClassVar[Kind] = "onnx"

    def __post_init__(self) -> None:
        check_patterns(self.keep_float)
        if self.bits not in BITS:
            raise UsageError(f"bits must be 4 or 8, got {self.bits}")
        if self.block_size not in BLOCK_SIZES:
            raise UsageError(
                f"block_size must be one of {', '.join(map(str, BLOCK_SIZES))}, "
                f"got {self.block_size}"
            )

    def __call__(self, artifact: Artifact, *, progress: Progress = silent) -> OnnxModel:
        """Returns the quantized graph; raises as `QuantizeStatic` does, without calibration."""
        model = graph_for(self, artifact)
        quantized, stay = split_products(model, self.keep_float)
        timer = StepTimer(model)
        progress("quantize", 0, 2)
        graph = self._pack(model, {product.node for product in quantized})
        if self.embeddings and self.bits != _BITS_OF_GATHER:
            quantize_embeddings(graph)
        drop_unused_initializers(graph)
        progress("quantize", 1, 2)
        result = finished(
            self, model, graph, timer=timer, quantized=quantized, stay=stay, seed=self.seed
        )
        progress("quantize", 2, 2)
        return result

    def _pack(self, model: OnnxModel, products: set[str]) -> onnx.ModelProto:
        import_onnxruntime("quantizing")
        op_types: tuple[str, ...] = ("MatMul",)
        if self.embeddings and self.bits == _BITS_OF_GATHER:
            op_types = ("MatMul", "Gather")
            tables = embedding_tables(model.graph)
            products |= {table.node for table in tables if table.rows >= SMALLEST_TABLE}
        others = [node.name for node in model.graph.graph.node if node.name not in products]
        with without_advice(), np.errstate(divide="ignore", invalid="ignore"):  # rows of zeros
            from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

            quantizer = MatMulNBitsQuantizer(
                copy_of(model.graph),
                bits=self.bits,
                block_size=self.block_size,
                is_symmetric=True,
                accuracy_level=_INT8_ARITHMETIC,
                nodes_to_exclude=others,
                op_types_to_quantize=op_types,
            )
            quantizer.process()
        return cast("onnx.ModelProto", quantizer.model.model)
