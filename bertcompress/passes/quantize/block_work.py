"""The steps of putting a graph's weights in blocks: choose formats, round, write, compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.edit import (
    drop_unused_initializers,
    import_ort_domain,
    initializer_values,
    replace_nodes,
    set_initializer,
)
from bertcompress.graph.for_onnxruntime import shaped_for_onnxruntime
from bertcompress.graph.products import WeightProduct
from bertcompress.numerics.blocks import BlockFormat, Floats
from bertcompress.passes.quantize.bit_budget import FloatAnswers, choices, coarsest, offer
from bertcompress.passes.quantize.block_pieces import Piece
from bertcompress.passes.quantize.block_rounding import Rounded, hessian_of, round_product
from bertcompress.passes.quantize.input_statistics import InputStatistics, Texts, input_statistics
from bertcompress.progress import Progress, silent

if TYPE_CHECKING:
    import onnx

Blocks = Mapping[str, Rounded]
"""What each piece became, by the name of its weight."""


def choose_formats(
    model: OnnxModel,
    pieces: Sequence[Piece],
    rounding: str,
    texts: Texts,
    *,
    target: int,
    progress: Progress = silent,
) -> tuple[tuple[BlockFormat, ...], ...]:
    """Returns each piece's format in one or two ways, of no more than `target` bytes each.

    Raises:
        SpeedGateError: If that is not possible.
    """
    offers = {}
    with FloatAnswers(model, _replaceable(model, pieces), texts.held_out) as answers:
        for piece, inputs in _with_inputs(model, pieces, texts):
            rounded = _round(model, piece, coarsest(piece), rounding, inputs)
            offers[piece.weight] = offer(
                model,
                piece,
                divergence=answers.divergence(_floats_of(model, piece, rounded)),
                hessian=None
                if inputs is None
                else hessian_of(inputs, has_bias=_bias(piece) is not None),
                scaled=rounded.divisors is not None,
            )
            progress("weigh", len(offers), len(pieces))
    return choices(model, [offers[piece.weight] for piece in pieces], target)


def round_pieces(
    model: OnnxModel,
    pieces: Sequence[Piece],
    formats: Sequence[BlockFormat],
    rounding: str,
    texts: Texts | None,
    *,
    progress: Progress = silent,
) -> dict[str, Rounded]:
    """Rounds every piece to its format."""
    format_of = {piece.weight: one for piece, one in zip(pieces, formats, strict=True)}
    found: dict[str, Rounded] = {}
    for piece, inputs in _with_inputs(model, pieces, texts):
        found[piece.weight] = _round(model, piece, format_of[piece.weight], rounding, inputs)
        progress("quantize", len(found), len(pieces))
    return found


def written(model: OnnxModel, pieces: Sequence[Piece], blocks: Blocks) -> onnx.ModelProto:
    """Returns the graph with blocks in the place of the float weights."""
    graph = shaped_for_onnxruntime(model.graph)
    import_ort_domain(graph)
    replacements = {}
    for piece in pieces:
        rounded = blocks[piece.weight]
        replacements[piece.part.node] = piece.put_into(graph, rounded)
        for name, values in _bias_of(model, piece, rounded).items():
            set_initializer(graph, name, values)
    replace_nodes(graph, replacements)
    drop_unused_initializers(graph)
    return graph


def divergence(model: OnnxModel, pieces: Sequence[Piece], blocks: Blocks, texts: Texts) -> float:
    """Returns how far the answers to the held-out texts are from the float graph's."""
    replaced: dict[str, Floats] = {}
    for piece in pieces:
        replaced.update(_floats_of(model, piece, blocks[piece.weight]))
    with FloatAnswers(model, _replaceable(model, pieces), texts.held_out) as answers:
        return answers.divergence(replaced)


def _with_inputs(
    model: OnnxModel, pieces: Sequence[Piece], texts: Texts | None
) -> Iterator[tuple[Piece, InputStatistics | None]]:
    """Yields all pieces, products with what goes into them if there are texts."""
    products = {p.weight: p for p in pieces if isinstance(p.part, WeightProduct)}
    for piece in pieces:
        if texts is None or piece.weight not in products:
            yield piece, None
    if texts is None:
        return
    parts = [p.part for p in products.values() if isinstance(p.part, WeightProduct)]
    for part, statistics in input_statistics(model.graph, parts, texts.fitted):
        for product in part:
            yield products[product.weight], statistics[product.tensor]


def _round(
    model: OnnxModel,
    piece: Piece,
    format_: BlockFormat,
    rounding: str,
    inputs: InputStatistics | None,
) -> Rounded:
    return round_product(
        piece.weight_in(model.graph),
        format_,
        rounding,
        inputs=inputs,
        has_bias=_bias(piece) is not None,
    )


def _bias(piece: Piece) -> str | None:
    return piece.part.bias if isinstance(piece.part, WeightProduct) else None


def _bias_of(model: OnnxModel, piece: Piece, rounded: Rounded) -> dict[str, Floats]:
    """Returns the bias that makes up for the mean error, by its name; nothing without texts."""
    name = _bias(piece)
    if name is None or rounded.bias_change is None:
        return {}
    values = np.asarray(initializer_values(model.graph, name), dtype=np.float32)
    return {name: (values + rounded.bias_change).astype(np.float32)}


def _floats_of(model: OnnxModel, piece: Piece, rounded: Rounded) -> dict[str, Floats]:
    """Returns a piece's weight and bias in float, as the graph stores them, by their names."""
    return {
        piece.weight: piece.as_stored(rounded.became),
        **_bias_of(model, piece, rounded),
    }


def _replaceable(model: OnnxModel, pieces: Sequence[Piece]) -> tuple[str, ...]:
    biases = [name for piece in pieces if (name := _bias(piece)) is not None]
    return (*(piece.weight for piece in pieces), *biases)
