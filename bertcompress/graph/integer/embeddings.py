"""Embedding tables as INT8: half of a MiniLM's bytes are here.

Only the rows that a sentence needs are ever turned back into floats. In blocks of up to 128
columns, ``GatherBlockQuantized`` reads and scales a row in one operator, and the largest value of a
row costs its own block alone. The portable form, which odd widths take too, is
``Cast(Gather(int8 table)) * Gather(scales)`` with one scale a row, so that a rare token with large
values costs the others nothing. Tables of few rows (segments) stay float: nothing is to be had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from bertcompress.graph.edit import (
    add_initializer,
    drop_unused_initializers,
    import_ort_domain,
    initializer_values,
    replace_nodes,
)
from bertcompress.graph.integer.block_weights import block_gather
from bertcompress.graph.products import EmbeddingTable, embedding_tables
from bertcompress.numerics.affine import choose_symmetric_s8, quantize_s8
from bertcompress.numerics.blocks import BlockFormat, minmax_grid, nearest
from bertcompress.numerics.granularity import PerAxis

if TYPE_CHECKING:
    import onnx

SMALLEST_TABLE = 16
"""Tables of fewer rows stay float."""
_BLOCK_SIZES = (128, 64, 32, 16)
"""The largest that divides a row: OpenVINO reads no shorter last block."""


def quantize_embeddings(graph: onnx.ModelProto, *, portable: bool = False) -> tuple[str, ...]:
    """Quantizes the embedding tables of a graph in place and returns their names.

    Args:
        graph: A float graph, or one whose products are quantized.
        portable: Whether to keep to standard operators.
    """
    tables = [table for table in embedding_tables(graph) if table.rows >= SMALLEST_TABLE]
    nodes = {node.name: node for node in graph.graph.node}
    replacements = {}
    for table in tables:
        blocks = None if portable else blocks_of(table.width)
        if blocks is None:
            replacements[table.node] = _int8_gather(graph, table, nodes[table.node])
        else:
            replacements[table.node] = _block_gather(graph, table, blocks)
            import_ort_domain(graph)
    replace_nodes(graph, replacements)
    drop_unused_initializers(graph)
    return tuple(table.weight for table in tables)


def blocks_of(width: int) -> BlockFormat | None:
    """Returns the blocks that rows of this width are stored in; None for one scale a row."""
    size = next((one for one in _BLOCK_SIZES if width % one == 0), None)
    return None if size is None else BlockFormat(8, size)


def _block_gather(
    graph: onnx.ModelProto, table: EmbeddingTable, blocks: BlockFormat
) -> list[onnx.NodeProto]:
    weight = cast("NDArray[np.float32]", initializer_values(graph, table.weight))
    return block_gather(graph, table, nearest(weight, minmax_grid(weight, blocks)))


def _int8_gather(
    graph: onnx.ModelProto, table: EmbeddingTable, node: onnx.NodeProto
) -> list[onnx.NodeProto]:
    from onnx import TensorProto, helper

    weight = cast("NDArray[np.float32]", initializer_values(graph, table.weight))
    scale = choose_symmetric_s8(weight, PerAxis(0))
    integers = add_initializer(
        graph, f"{table.weight}.int8", quantize_s8(weight, scale, PerAxis(0))
    )
    scales = add_initializer(graph, f"{table.weight}.scale", scale[:, None])
    name, indices = table.node, node.input[1]
    return [
        helper.make_node("Gather", [integers, indices], [f"{name}.int8"], f"{name}.rows"),
        helper.make_node("Gather", [scales, indices], [f"{name}.scale"], f"{name}.scales"),
        helper.make_node(
            "Cast", [f"{name}.int8"], [f"{name}.float"], f"{name}.cast", to=TensorProto.FLOAT
        ),
        helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], list(node.output), name),
    ]
