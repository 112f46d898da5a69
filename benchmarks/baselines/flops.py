"""What a head and a neuron cost, and how a baseline is told what to remove.

Multiply-adds of a token in a text of ``S`` tokens, hidden size ``d``, head size ``h``::

    head    4 d h  (query, key, value, output)  +  2 S h  (scores and weighted sum)
    neuron  2 d    (into and out of it)

    >>> UnitFlops(384, 32, 25.0).head, UnitFlops(384, 32, 25.0).neuron
    (50752.0, 768.0)

Source: Kwon et al. 2022, arXiv:2204.09656, section 3.2, which counts the same products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertcompress.bert.batch_losses import Batch
from bertcompress.bert.pruning.selection import check_fraction
from bertcompress.bert.structure import EncoderShape
from bertcompress.errors import UsageError


@dataclass(frozen=True)
class UnitFlops:
    """Multiply-adds a token.

    Attributes:
        hidden: The width of the residual stream.
        head_size: The width of a head.
        length: The mean length of a text, tokens.
    """

    hidden: int
    head_size: int
    length: float

    @property
    def head(self) -> float:
        """Of one head."""
        return 4.0 * self.hidden * self.head_size + 2.0 * self.length * self.head_size

    @property
    def neuron(self) -> float:
        """Of one neuron."""
        return 2.0 * self.hidden

    def of(self, shape: EncoderShape) -> float:
        """Of all heads and neurons of an encoder."""
        return self.head * sum(shape.layer_heads) + self.neuron * sum(shape.layer_ffn)


def unit_flops(shape: EncoderShape, batches: Sequence[Batch]) -> UnitFlops:
    """Returns the costs at the mean length of these texts."""
    tokens = sum(int(batch.inputs["attention_mask"].sum()) for batch in batches)
    samples = sum(batch.size for batch in batches)
    return UnitFlops(shape.hidden_size, shape.head_size, tokens / max(1, samples))


def check_removal(heads: float, ffn: float, flops: float | None) -> None:
    """Fails with a UsageError unless all are in [0, 1), and one form is used, not both."""
    check_fraction("heads", heads)
    check_fraction("ffn", ffn)
    if flops is None:
        return
    check_fraction("flops", flops)
    if heads or ffn:
        raise UsageError("give heads and ffn, or flops to let the method choose, not both")
