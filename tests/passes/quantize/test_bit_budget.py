"""The choice of bits: by hand-made offers, and by what a replaced weight does to the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.errors import SpeedGateError
from bertcompress.examples import Example
from bertcompress.graph.products import weight_products
from bertcompress.numerics.blocks import BlockFormat
from bertcompress.passes.quantize.bit_budget import (
    FloatAnswers,
    bytes_beside,
    choices,
    coarsest,
    formats_of,
    offer,
)
from bertcompress.passes.quantize.blocks import BlockPiece, pieces_of
from bertcompress.passes.quantize.input_statistics import draw_texts
from bertcompress.passes.quantize.quantize_weights import BlockWork
from bertcompress.progress import silent

Graphs = Callable[..., OnnxModel]
Examples = Callable[..., tuple[Example, ...]]


@pytest.fixture
def pieces(tiny_graph: Graphs) -> tuple[BlockPiece, ...]:
    graph = tiny_graph().graph
    return pieces_of(graph, weight_products(graph), embeddings=True)


def test_a_replaced_weight_moves_the_answers_and_the_same_weight_does_not(
    tiny_graph: Graphs, examples: Examples, pieces: tuple[BlockPiece, ...]
) -> None:
    model = tiny_graph()
    texts = draw_texts(model, examples(), samples=20, max_length=None, seed=0)
    names = [piece.weight for piece in pieces]
    with FloatAnswers(model, names, texts.held_out) as answers:
        for piece in pieces[:3]:
            own = piece.as_stored(piece.weight_in(model.graph))
            noise = np.random.default_rng(0).normal(size=own.shape).astype(np.float32)
            assert answers.divergence({piece.weight: own}) == pytest.approx(0, abs=1e-9)
            small = answers.divergence({piece.weight: own + 0.01 * noise})
            large = answers.divergence({piece.weight: own + 0.1 * noise})
            assert 0 < small < large


def test_losses_are_scaled_by_squared_errors(
    tiny_graph: Graphs, pieces: tuple[BlockPiece, ...]
) -> None:
    piece = pieces[0]
    found = offer(tiny_graph(), piece, divergence=3.0, hessian=np.eye(32), scaled=False)

    losses = dict(zip(found.formats, found.losses, strict=True))
    assert losses[coarsest(piece)] == pytest.approx(3.0)
    assert losses[BlockFormat(8, 16)] < losses[BlockFormat(4, 16)] < losses[BlockFormat(4, 32)]
    assert losses[BlockFormat(8, 32)] < 3.0 / 100
    sizes = dict(zip(found.formats, found.sizes, strict=True))
    assert sizes[BlockFormat(8, 32)] - sizes[BlockFormat(4, 32)] == pytest.approx(512, abs=8)


def test_formats_are_those_that_differ(pieces: tuple[BlockPiece, ...]) -> None:
    by_name = {piece.module: piece for piece in pieces}
    narrow = {one.block_size for one in formats_of(by_name["bert.pooler.dense"])}
    wide = {one.block_size for one in formats_of(by_name["bert.encoder.layer.0.output.dense"])}
    assert narrow == {16, 32}
    assert wide == {16, 32, 64}


def test_the_dearest_piece_gets_the_bytes(
    tiny_graph: Graphs, pieces: tuple[BlockPiece, ...]
) -> None:
    model = tiny_graph()
    dear, cheap = (
        offer(model, piece, divergence=loss, hessian=None, scaled=False)
        for piece, loss in ((pieces[0], 1.0), (pieces[1], 1e-6))
    )
    budget = bytes_beside(model.graph, pieces[:2]) + min(dear.sizes) + min(cheap.sizes) + 600

    cheapest, alike = choices(model, [dear, cheap], budget)

    assert (cheapest[0].bits, cheapest[1].bits) == (8, 4)
    assert alike == (BlockFormat(4, 16, symmetric=False),) * 2


def test_what_is_predicted_is_what_is_written(
    tiny_graph: Graphs, pieces: tuple[BlockPiece, ...]
) -> None:
    model = tiny_graph()
    formats = [formats_of(one)[at % len(formats_of(one))] for at, one in enumerate(pieces)]
    predicted = bytes_beside(model.graph, pieces) + sum(
        piece.bytes_in(model.graph, one, scaled=False)
        for piece, one in zip(pieces, formats, strict=True)
    )
    work = BlockWork(model, pieces, "rtn", None, silent)
    graph = work.written(work.rounded(formats))
    assert 0 <= predicted - graph.ByteSize() < 100


def test_more_than_enough_gives_the_finest(
    tiny_graph: Graphs, pieces: tuple[BlockPiece, ...]
) -> None:
    model = tiny_graph()
    one = offer(model, pieces[0], divergence=1.0, hessian=None, scaled=False)
    assert choices(model, [one], 10**9) == ((BlockFormat(8, 16),),) * 2


def test_where_only_the_smallest_fits_there_is_one_choice(
    tiny_graph: Graphs, pieces: tuple[BlockPiece, ...]
) -> None:
    model = tiny_graph()
    one = offer(model, pieces[0], divergence=1.0, hessian=None, scaled=False)
    least = bytes_beside(model.graph, pieces[:1]) + min(one.sizes)
    assert choices(model, [one], least) == ((BlockFormat(4, 32),),)
    with pytest.raises(SpeedGateError, match=f"has {least:,} bytes"):
        choices(model, [replace(one)], least - 1)
