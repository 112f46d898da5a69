"""What can be counted about a reported variant, and is the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bertcompress.report.schema import VariantResult

LENGTH = 128
"""Operations are counted for one sentence of so many tokens."""

FLOAT_PRODUCTS = "float weight products"


@dataclass(frozen=True)
class VariantCounts:
    """Counts of one variant, each None where the artifact does not tell.

    Attributes:
        parameters: Weights.
        operations: Multiplications and additions for one sentence of `LENGTH` tokens.
        float_products: Weight products that the runtime computes in float.
    """

    parameters: int | None
    operations: int | None
    float_products: int | None


def counts_of(result: VariantResult) -> VariantCounts:
    """Returns a variant's counts."""
    work = result.operations.work(sentences=1, length=LENGTH) if result.operations else None
    return VariantCounts(
        parameters=result.size.parameters,
        operations=round(work.operations) if work else None,
        float_products=_kernels(result).get(FLOAT_PRODUCTS),
    )


def _kernels(result: VariantResult) -> Mapping[str, int]:
    """Returns the counts that the last step with such counts left."""
    counted = (line.kernels for line in reversed(result.history) if line.kernels is not None)
    return next(counted, {})
