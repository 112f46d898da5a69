"""Sampling: which examples the ranges are measured on.

Long texts and every class shall be there in their proportions: tokens at late positions and words
of a rare class take values of their own. The examples are ordered by length and cut into ten bands
of as many examples each; every band gives as many samples, stratified by class as
`bertcompress.data.sample` does it. Draw from the data that the model was trained on, never from
the split that its accuracy is reported on.

    >>> from bertcompress.examples import TextExample
    >>> rows = [TextExample(f"t:{i}", "x" * i, label="ab"[i % 2]) for i in range(100)]
    >>> [row.id for row in draw_samples(rows, 4, seed=0)]
    ['t:22', 't:47', 't:56', 't:87']
"""

from __future__ import annotations

from collections.abc import Sequence

from bertcompress.data import sample
from bertcompress.errors import UsageError
from bertcompress.examples import Example, QuestionExample, TextExample

BANDS = 10
"""Of equal numbers of examples, by length."""


def draw_samples(examples: Sequence[Example], count: int, *, seed: int) -> tuple[Example, ...]:
    """Returns `count` of the examples (all, if there are no more), the shortest first.

    Args:
        examples: What to draw from.
        count: How many, 1 or more.
        seed: Decides which.

    Raises:
        UsageError: The count is less than 1.
    """
    if count < 1:
        raise UsageError(f"samples must be 1 or more, got {count}; type 300")
    by_length = sorted(examples, key=_characters)
    if count >= len(by_length):
        return tuple(by_length)
    bands = min(BANDS, count)
    drawn: list[Example] = []
    start = 0
    sizes, quotas = _even_parts(len(by_length), bands), _even_parts(count, bands)
    for number, (size, quota) in enumerate(zip(sizes, quotas, strict=True)):
        band = by_length[start : start + size]
        drawn += sample(band, quota, seed=seed * BANDS + number)
        start += size
    return tuple(drawn)


def _even_parts(total: int, parts: int) -> list[int]:
    """Returns sizes that differ by one at most and sum to the total, the larger ones first."""
    size, left_over = divmod(total, parts)
    return [size + (number < left_over) for number in range(parts)]


def _characters(example: Example) -> int:
    """Measures an example before it is tokenized."""
    if isinstance(example, TextExample):
        return len(example.text) + len(example.text_pair or "")
    if isinstance(example, QuestionExample):
        return len(example.question) + len(example.context)
    return sum(len(word) + 1 for word in example.words)
