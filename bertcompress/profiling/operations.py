"""What a model costs: its operations and the bytes it must read, for a batch of any shape.

An operation is one multiplication or one addition, so a product of ``[rows, in]`` with a weight
``[in, out]`` is ``2 * rows * in * out`` operations. For ``B`` sentences of ``S`` positions each
(padding is computed too, so it counts)::

    weight products    2 * B * S * sum(in * out)              pooler, classifier: 2 * B * in * out
    scores, context    2 * B * S**2 * sum(key width + value width)
    bytes              weights, once a call  +  B * S * embedding rows

With ``L`` layers of width ``H`` and ``F`` neurons that is ``2 * S * L * (4 * H**2 + 2 * H * F)
+ 4 * S**2 * H * L`` a sentence. Source: Kaplan et al., arXiv 2001.08361, table 1, with the
attention term kept.

*Integer* are the products of two integer matrices; scores and context stay float in every graph
that this tool makes. A ``MatMulNBits`` is integer where its accuracy level is 4, which has the
activations quantized to 8 bits, and float below. A product between Q/DQ pairs counts as integer,
because the quantize passes fail where the runtime does not fuse it.

The bytes are the compulsory ones of the roofline model (Williams, Waterman and Patterson, CACM 52
(2009)): what has to come from memory even if every intermediate result stays in a cache.
Everything element-wise (GELU, LayerNorm, softmax) is left out: some 1 % of the operations.

MiniLM, 6 layers of 384 with 1536 neurons, at 128 tokens:

>>> minilm = Operations(float_per_token=2 * 6 * (4 * 384**2 + 2 * 384 * 1536),
...                     attention_width=6 * 2 * 384, weight_bytes=42_600_000)
>>> round(minilm.work(sentences=1, length=128).float_operations / 1e9, 2)
2.87
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """What one call takes.

    Attributes:
        float_operations: Multiplications and additions in float.
        integer_operations: Those in integers.
        bytes: What it must read.
    """

    float_operations: float
    integer_operations: float
    bytes: float

    @property
    def operations(self) -> float:
        """All operations."""
        return self.float_operations + self.integer_operations


@dataclass(frozen=True)
class Operations:
    """What decides the work of a call besides the batch's shape; see the module's docstring.

    Attributes:
        float_per_token: Operations of float weight products for each position.
        integer_per_token: Those of integer weight products.
        float_per_sentence: Operations of float products that see one vector a sentence.
        integer_per_sentence: Those of integer ones.
        attention_width: The widths of keys and values, summed over all layers.
        weight_bytes: Weights that every call reads.
        bytes_per_token: Embedding rows that one position reads.
    """

    float_per_token: int = 0
    integer_per_token: int = 0
    float_per_sentence: int = 0
    integer_per_sentence: int = 0
    attention_width: int = 0
    weight_bytes: int = 0
    bytes_per_token: int = 0

    def work(self, *, sentences: float, length: float) -> Work:
        """Returns the work of one call with `sentences` rows of `length` positions each."""
        positions = sentences * length
        attention = 2 * sentences * length**2 * self.attention_width
        return Work(
            float_operations=self.float_per_token * positions
            + self.float_per_sentence * sentences
            + attention,
            integer_operations=self.integer_per_token * positions
            + self.integer_per_sentence * sentences,
            bytes=self.weight_bytes + self.bytes_per_token * positions,
        )


@dataclass(frozen=True)
class WeightUse:
    """A product with a weight ``[inputs, outputs]``.

    Attributes:
        inputs: Rows of the weight.
        outputs: Its columns.
        is_integer: Whether both sides are integers.
        per_sentence: Whether it sees one vector a sentence, not one a token.
    """

    inputs: int
    outputs: int
    is_integer: bool = False
    per_sentence: bool = False


def summed(
    products: list[WeightUse], *, attention_width: int, weight_bytes: int, bytes_per_token: int
) -> Operations:
    """Adds products up."""
    totals: Mapping[tuple[bool, bool], int] = {
        (is_integer, per_sentence): sum(
            2 * product.inputs * product.outputs
            for product in products
            if (product.is_integer, product.per_sentence) == (is_integer, per_sentence)
        )
        for is_integer in (False, True)
        for per_sentence in (False, True)
    }
    return Operations(
        float_per_token=totals[False, False],
        integer_per_token=totals[True, False],
        float_per_sentence=totals[False, True],
        integer_per_sentence=totals[True, True],
        attention_width=attention_width,
        weight_bytes=weight_bytes,
        bytes_per_token=bytes_per_token,
    )
