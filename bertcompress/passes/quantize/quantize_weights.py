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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from bertcompress.artifacts.artifact import Kind, OnnxModel
from bertcompress.errors import UsageError
from bertcompress.graph.edit import (
    drop_unused_initializers,
    import_ort_domain,
    replace_nodes,
    set_initializer,
)
from bertcompress.graph.for_onnxruntime import shaped_for_onnxruntime
from bertcompress.graph.products import HEADS, WeightProduct
from bertcompress.numerics.blocks import BlockFormat, Floats, fitting_block_size
from bertcompress.passes.base import Pass
from bertcompress.passes.context import Context
from bertcompress.passes.quantize.audit import (
    QuantizationDetails,
    audited,
    check_patterns,
    split_products,
)
from bertcompress.passes.quantize.bit_budget import FloatAnswers, choices, coarsest, offer
from bertcompress.passes.quantize.blocks import (
    ROUNDINGS,
    WITH_DATA,
    BlockPiece,
    Rounded,
    check_blocks,
    format_for,
    hessian_of,
    pieces_of,
    round_product,
)
from bertcompress.passes.quantize.input_statistics import (
    FittedTexts,
    InputStatistics,
    draw_texts,
    input_statistics,
)
from bertcompress.passes.settings import Need, check_choice
from bertcompress.progress import Progress

if TYPE_CHECKING:
    import onnx

Formats = tuple[BlockFormat, ...]
"""Of each piece, in their order."""

Blocks = Mapping[str, Rounded]
"""What each piece became, by the name of its weight."""
BLOCK_SIZE = 32
ABOUT = "4 bits make the file small; they do not make an encoder faster"


@dataclass(frozen=True)
class QuantizeWeights(Pass[OnnxModel, OnnxModel]):
    """Quantizes weights only, in blocks.

    Attributes:
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
        if self.rounding is not None:
            check_choice("rounding", self.rounding, ROUNDINGS)
        if self.samples < 2:
            raise UsageError(f"samples must be 2 or more, got {self.samples}")
        if self.target_size is not None and self.target_size < 1:
            raise UsageError(f"target_size must be 1 or more bytes, got {self.target_size}")
        if self.target_size is not None and self.block_size is not None:
            raise UsageError("target_size chooses the blocks; leave block_size out")

    @property
    def needs(self) -> tuple[Need, ...]:
        """Examples, if it can use them: texts like those that the model will answer."""
        fitted = self.bits == 4 if self.rounding is None else self.rounding in WITH_DATA
        return ("examples",) if fitted or self.target_size is not None else ()

    def check(self, context: Context) -> None:
        """Refuses a context without texts where the settings need some."""
        if context.has_examples:
            return
        if self.rounding in WITH_DATA:
            raise UsageError(
                f"{self.rounding} rounds by what goes into each weight, and no texts were given; "
                "add --data, or take rounding mse, which needs none"
            )
        if self.target_size is not None:
            raise UsageError(
                "which weights can do with 4 bits is found on texts, and none were given; "
                "add --data, or leave target_size out"
            )

    def apply(self, model: OnnxModel, context: Context) -> tuple[OnnxModel, QuantizationDetails]:
        """Returns the quantized graph; raises as `QuantizeStatic` does, and for texts and sizes.

        Raises:
            UsageError: If there are too few texts.
            SpeedGateError: If no choice of bits makes the file as small as asked.
        """
        quantized, stay = split_products(model, self.keep_float)
        pieces = pieces_of(model.graph, quantized, embeddings=self.embeddings)
        rounding, texts = self._rounding(context), self._texts(model, context)
        work = BlockWork(model, pieces, rounding, texts, context.progress)
        tried = []
        for formats in self._formats(work):
            blocks = work.rounded(formats)
            tried.append((work.divergence(blocks), formats, blocks))
        lost, formats, blocks = min(tried, key=lambda attempt: attempt[0] or 0.0)
        graph = work.written(blocks)
        stored = {p.module: str(f) for p, f in zip(pieces, formats, strict=True)}
        told = audited(
            model, graph, quantized=quantized, stay=stay, seed=self.seed, precisions=stored
        )
        details = replace(
            told,
            rounding=f"{rounding}, {texts.count if texts else 0} texts",
            size=f"{model.size_bytes / 1e6:.2f} MB before, {graph.ByteSize() / 1e6:.2f} MB after",
            note=ABOUT,
            divergence_of_answers=lost,
        )
        return replace(model, graph=graph), details

    def _rounding(self, context: Context) -> str:
        if self.rounding is not None:
            return self.rounding
        return "gptq" if self.bits == 4 and context.has_examples else "mse"

    def _texts(self, model: OnnxModel, context: Context) -> FittedTexts | None:
        if not self.needs or not context.has_examples:
            return None
        return draw_texts(
            model,
            context.fitted,
            samples=self.samples,
            max_length=self.max_length,
            seed=self.seed,
        )

    def _formats(self, work: BlockWork) -> tuple[Formats, ...]:
        """Returns each piece's format, in one or more ways to compare."""
        if self.target_size is not None and work.texts is not None:
            return work.formats_within(self.target_size, work.texts)
        asked, formats = self.block_size or BLOCK_SIZE, []
        for piece in work.pieces:
            weight, size = (
                piece.weight_in(work.model.graph),
                fitting_block_size(asked, piece.columns),
            )
            formats.append(format_for(weight, bits=self.bits, block_size=size))
        return (tuple(formats),)


@dataclass(frozen=True)
class BlockWork:
    """What is put in blocks, and how: choose formats, round, compare, write.

    Attributes:
        model: The float graph.
        pieces: Its weights.
        rounding: A name in `ROUNDINGS`.
        texts: What they are fitted to and tried on, if anything.
        progress: Progress callback.
    """

    model: OnnxModel
    pieces: tuple[BlockPiece, ...]
    rounding: str
    texts: FittedTexts | None
    progress: Progress

    def formats_within(self, target: int, texts: FittedTexts) -> tuple[Formats, ...]:
        """Returns each piece's format in one or two ways, of no more than `target` bytes each.

        Raises:
            SpeedGateError: If that is not possible.
        """
        offers = {}
        with FloatAnswers(self.model, self._replaceable, texts.held_out) as answers:
            for piece, inputs in self._with_inputs():
                rounded = self._round(piece, coarsest(piece), inputs)
                offers[piece.weight] = offer(
                    self.model,
                    piece,
                    divergence=answers.divergence(piece.floats_in(self.model.graph, rounded)),
                    hessian=None
                    if inputs is None
                    else hessian_of(inputs, has_bias=piece.bias is not None),
                    scaled=rounded.divisors is not None,
                )
                self.progress("weigh", len(offers), len(self.pieces))
        return choices(self.model, [offers[piece.weight] for piece in self.pieces], target)

    def rounded(self, formats: Sequence[BlockFormat]) -> Blocks:
        """Rounds every piece to its format."""
        format_of = dict(zip((p.weight for p in self.pieces), formats, strict=True))
        blocks: dict[str, Rounded] = {}
        for piece, inputs in self._with_inputs():
            blocks[piece.weight] = self._round(piece, format_of[piece.weight], inputs)
            self.progress("quantize", len(blocks), len(self.pieces))
        return blocks

    def divergence(self, blocks: Blocks) -> float | None:
        """Returns how far the answers to the held-out texts are from the float graph's, if any."""
        if self.texts is None:
            return None
        replaced: dict[str, Floats] = {}
        for piece in self.pieces:
            replaced.update(piece.floats_in(self.model.graph, blocks[piece.weight]))
        with FloatAnswers(self.model, self._replaceable, self.texts.held_out) as answers:
            return answers.divergence(replaced)

    def written(self, blocks: Blocks) -> onnx.ModelProto:
        """Returns the graph with blocks in the place of the float weights."""
        graph = shaped_for_onnxruntime(self.model.graph)
        import_ort_domain(graph)
        replacements = {}
        for piece in self.pieces:
            rounded = blocks[piece.weight]
            replacements[piece.part.node] = piece.put_into(graph, rounded)
            for name, values in piece.bias_in(self.model.graph, rounded).items():
                set_initializer(graph, name, values)
        replace_nodes(graph, replacements)
        drop_unused_initializers(graph)
        return graph

    def _with_inputs(self) -> Iterator[tuple[BlockPiece, InputStatistics | None]]:
        """Yields all pieces, products with what goes into them if there are texts."""
        products = {p.weight: p for p in self.pieces if isinstance(p.part, WeightProduct)}
        for piece in self.pieces:
            if self.texts is None or piece.weight not in products:
                yield piece, None
        if self.texts is None:
            return
        parts = [p.part for p in products.values() if isinstance(p.part, WeightProduct)]
        for part, statistics in input_statistics(self.model.graph, parts, self.texts.fitted):
            for product in part:
                yield products[product.weight], statistics[product.tensor]

    def _round(
        self, piece: BlockPiece, format_: BlockFormat, inputs: InputStatistics | None
    ) -> Rounded:
        return round_product(
            piece.weight_in(self.model.graph),
            format_,
            self.rounding,
            inputs=inputs,
            has_bias=piece.bias is not None,
        )

    @property
    def _replaceable(self) -> tuple[str, ...]:
        biases = [piece.bias for piece in self.pieces if piece.bias is not None]
        return (*(piece.weight for piece in self.pieces), *biases)
