"""Whether two models gave the same answer to an example, without labels.

| answer | is the same |
|---|---|
| class, classes, tags, text of a span | when equal |
| number | within 0.1 standard deviations of the first model's numbers |
| vector, or a pair's two vectors as one | from a cosine of 0.99 on; zero is like zero only |

Numbers and vectors that went through integers or another runtime are never equal to the last bit,
so equality would call every answer of a regression or an embedding model a changed one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bertcompress.tasks.base import Prediction

NUMBER_STDS = 0.1
VECTOR_COSINE = 0.99


def same_answers(first: Sequence[Prediction], second: Sequence[Prediction]) -> list[bool]:
    """Says for each example whether the answers are the same.

    Args:
        first: The answers that are compared with; their spread is the measure for numbers.
        second: The other model's, to the same examples.
    """
    numbers = [one.answer for one in first if isinstance(one.answer, float)]
    tolerance = NUMBER_STDS * float(np.std(numbers)) if numbers else 0.0
    return [_same(a.answer, b.answer, tolerance) for a, b in zip(first, second, strict=True)]


def _same(first: object, second: object, tolerance: float) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return abs(first - second) <= tolerance
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        a, b = first.ravel().astype(np.float64), second.ravel().astype(np.float64)
        norms = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) >= VECTOR_COSINE * norms if norms else not (a.any() or b.any())
    return first == second
