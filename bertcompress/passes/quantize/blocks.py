"""One weight in blocks: what is put in them, the grid and the rounding, what the bias makes up for.

A `BlockPiece` is a product's weight or an embedding table, `Rounded` what it became.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bertcompress.errors import UsageError
from bertcompress.graph.edit import initializer_values
from bertcompress.graph.integer.block_weights import block_gather, block_product
from bertcompress.graph.integer.embeddings import SMALLEST_TABLE
from bertcompress.graph.products import EmbeddingTable, WeightProduct, embedding_tables
from bertcompress.numerics.awq import awq
from bertcompress.numerics.block_grids import hqq_grid, least_squares_grid
from bertcompress.numerics.blocks import (
    BITS,
    BLOCK_SIZES,
    BlockFormat,
    BlockWeights,
    Floats,
    dequantized,
    minmax_grid,
    nearest,
)
from bertcompress.numerics.gptq import Matrix, damped, gptq, swept
from bertcompress.passes.quantize.input_statistics import InputStatistics

if TYPE_CHECKING:
    import onnx

WITHOUT_DATA = ("rtn", "mse", "hqq")
"""The nearest step: of the whole range, of the range of least squared error, of that of HQQ."""

WITH_DATA = ("awq", "gptq")
ROUNDINGS = (*WITHOUT_DATA, *WITH_DATA)

_PAYS = 0.9
"""Zero points are stored where they lower the squared error to this part of it, or below."""
_ROWS_TRIED = 2048


@dataclass(frozen=True)
class Rounded:
    """A weight ``[out, in]`` in blocks.

    Attributes:
        weights: The blocks.
        divisors: What each input channel is divided by first, float32 ``[in]``; None for nothing.
        bias_change: What is added to the bias, float64 ``[out]``; None where nothing is known of
            the inputs.
    """

    weights: BlockWeights
    divisors: Floats | None = None
    bias_change: NDArray[np.float64] | None = None

    @property
    def became(self) -> Floats:
        """The weight that they stand for, float32 ``[out, in]``."""
        values = dequantized(self.weights)
        return values if self.divisors is None else values / self.divisors


@dataclass(frozen=True)
class BlockPiece:
    """One weight: rows that are rounded each alone, columns that are cut into blocks.

    Attributes:
        module: What reports call it.
        weight: The initializer's name.
        rows: Output channels, or tokens.
        columns: Input channels, or the embedding's width.
        part: The product or the table.
    """

    module: str
    weight: str
    rows: int
    columns: int
    part: WeightProduct | EmbeddingTable

    @property
    def bias(self) -> str | None:
        """The initializer of its bias, if it has one."""
        return self.part.bias if isinstance(self.part, WeightProduct) else None

    @property
    def is_table(self) -> bool:
        """Whether its rows are gathered."""
        return isinstance(self.part, EmbeddingTable)

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """The block sizes that can differ; of a table's row at most one block is all of it."""
        sizes = list(BLOCK_SIZES)
        while self.is_table and sizes[-1] < self.columns:
            sizes.append(2 * sizes[-1])
        return tuple(size for size in sizes if size < 2 * self.columns) or (sizes[0],)

    def weight_in(self, graph: onnx.ModelProto) -> Floats:
        """Returns its values, float32 ``[rows, columns]``."""
        values = np.asarray(initializer_values(graph, self.weight), dtype=np.float32)
        return values if self.is_table else np.ascontiguousarray(values.T)

    def as_stored(self, rows: Floats) -> Floats:
        """Returns ``[rows, columns]`` as the float graph keeps them."""
        return rows if self.is_table else np.ascontiguousarray(rows.T)

    def bias_in(self, graph: onnx.ModelProto, rounded: Rounded) -> dict[str, Floats]:
        """Returns the bias that makes up for the mean error, by its name; none without texts."""
        if self.bias is None or rounded.bias_change is None:
            return {}
        values = np.asarray(initializer_values(graph, self.bias), dtype=np.float32)
        return {self.bias: (values + rounded.bias_change).astype(np.float32)}

    def floats_in(self, graph: onnx.ModelProto, rounded: Rounded) -> dict[str, Floats]:
        """Returns its weight and bias in float, as the graph stores them, by their names."""
        weight = {self.weight: self.as_stored(rounded.became)}
        return {**weight, **self.bias_in(graph, rounded)}

    def put_into(self, graph: onnx.ModelProto, rounded: Rounded) -> list[onnx.NodeProto]:
        """Adds the blocks to a graph and returns the nodes that stand for its node."""
        if isinstance(self.part, EmbeddingTable):
            return block_gather(graph, self.part, rounded.weights)
        return block_product(graph, self.part, rounded.weights, divisors=rounded.divisors)

    def bytes_in(self, graph: onnx.ModelProto, format_: BlockFormat, *, scaled: bool) -> int:
        """Returns what it adds to the file: initializers and nodes, by writing them.

        Args:
            graph: The float graph, for the node it replaces.
            format_: How it would be stored.
            scaled: Whether its input channels are divided first.
        """
        import onnx

        scratch = onnx.ModelProto()
        scratch.graph.node.extend(n for n in graph.graph.node if n.name == self.part.node)
        blocks = format_.blocks(self.columns)
        empty = BlockWeights(
            format_,
            np.zeros((self.rows, blocks, format_.block_size), dtype=np.uint8),
            np.zeros((self.rows, blocks), dtype=np.float32),
            np.zeros((self.rows, blocks), dtype=np.uint8),
            self.columns,
        )
        divisors = np.ones(self.columns, dtype=np.float32) if scaled and not self.is_table else None
        nodes = self.put_into(scratch, Rounded(empty, divisors))
        del scratch.graph.node[:]
        scratch.graph.node.extend(nodes)
        return int(scratch.graph.ByteSize())


def pieces_of(
    graph: onnx.ModelProto, products: Sequence[WeightProduct], *, embeddings: bool
) -> tuple[BlockPiece, ...]:
    """Returns the products and, if asked, the embedding tables of a float graph."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.graph.initializer}
    pieces = []
    for product in products:
        columns, rows = shapes[product.weight]
        pieces.append(BlockPiece(product.module, product.weight, rows, columns, product))
    for table in embedding_tables(graph) if embeddings else ():
        if table.rows >= SMALLEST_TABLE:
            name = table.weight.removesuffix(".weight")
            pieces.append(BlockPiece(name, table.weight, table.rows, table.width, table))
    return tuple(pieces)


def check_blocks(bits: int, block_size: int | None) -> None:
    """Fails with a UsageError unless there are such blocks; None stands for any."""
    if bits not in BITS:
        raise UsageError(f"bits must be 4 or 8, got {bits}")
    if block_size is not None and block_size not in BLOCK_SIZES:
        raise UsageError(
            f"block_size must be one of {', '.join(map(str, BLOCK_SIZES))}, got {block_size}"
        )


def format_for(weight: Floats, *, bits: int, block_size: int) -> BlockFormat:
    """Returns the format with zero points where they pay, without where not.

    Args:
        weight: ``[rows, columns]``; of a long one some rows are looked at.
        bits: 4 or 8.
        block_size: Columns that share a scale.
    """
    rows = weight[:: max(1, len(weight) // _ROWS_TRIED)]
    errors = {}
    for symmetric in (True, False):
        format_ = BlockFormat(bits, block_size, symmetric)
        became = dequantized(nearest(rows, least_squares_grid(rows, format_)))
        errors[symmetric] = float(((rows - became) ** 2).sum())
    return BlockFormat(bits, block_size, not errors[False] < _PAYS * errors[True])


def round_weight(weight: Floats, format_: BlockFormat, rounding: str) -> BlockWeights:
    """Rounds a weight ``[rows, columns]`` without data; those that need some are as ``mse``."""
    if rounding == "rtn":
        return nearest(weight, minmax_grid(weight, format_))
    if rounding == "hqq":
        return nearest(weight, hqq_grid(weight, format_))
    return nearest(weight, least_squares_grid(weight, format_))


def round_product(
    weight: Floats,
    format_: BlockFormat,
    rounding: str,
    *,
    inputs: InputStatistics | None,
    has_bias: bool,
) -> Rounded:
    """Rounds a product's weight.

    Args:
        weight: ``[out, in]``.
        format_: How it is stored.
        rounding: A name in `ROUNDINGS`; `WITH_DATA` need `inputs`.
        inputs: What goes in; if known, the bias makes up for the mean of the error.
        has_bias: Whether there is a bias to change.
    """
    if inputs is None:
        return Rounded(round_weight(weight, format_, rounding))
    hessian = hessian_of(inputs, has_bias=has_bias)
    divisors = None
    if rounding == "awq":
        moments = np.diagonal(inputs.covariance) + inputs.mean**2
        rounded, divisors = awq(weight, format_, np.sqrt(moments), hessian)
    elif rounding == "gptq":
        strong = damped(hessian)
        grid = least_squares_grid(weight, format_)
        rounded = swept(weight, gptq(weight, grid, hessian), strong)
    else:
        rounded = round_weight(weight, format_, rounding)
    without_change = Rounded(rounded, divisors)
    change = (weight - without_change.became).astype(np.float64) @ inputs.mean if has_bias else None
    return Rounded(rounded, divisors, change)


def hessian_of(inputs: InputStatistics, *, has_bias: bool) -> Matrix:
    """Returns what an error of the weight costs: a bias takes the mean's part."""
    if has_bias:
        return inputs.covariance
    return inputs.covariance + np.outer(inputs.mean, inputs.mean)
