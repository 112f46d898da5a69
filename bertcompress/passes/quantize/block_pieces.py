"""The pieces that are put in blocks, products and embedding tables alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bertcompress.graph.edit import initializer_values
from bertcompress.graph.integer.block_weights import block_gather, block_product
from bertcompress.graph.integer.embeddings import SMALLEST_TABLE
from bertcompress.graph.products import EmbeddingTable, WeightProduct, embedding_tables
from bertcompress.numerics.blocks import BLOCK_SIZES, BlockFormat, BlockWeights, Floats
from bertcompress.passes.quantize.block_rounding import Rounded

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Piece:
    """One weight: rows that are rounded each by itself, columns that are cut into blocks.

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
) -> tuple[Piece, ...]:
    """Returns the products and, if asked, the embedding tables of a float graph."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.graph.initializer}
    tables = [one for one in embedding_tables(graph) if one.rows >= SMALLEST_TABLE]
    return (
        *(
            Piece(one.module, one.weight, shapes[one.weight][1], shapes[one.weight][0], one)
            for one in products
        ),
        *(
            Piece(one.weight.removesuffix(".weight"), one.weight, one.rows, one.width, one)
            for one in (tables if embeddings else [])
        ),
    )
