"""Draws parts and samples of examples: seeded, stratified by class, in the order they came.

Each class's examples are shuffled and spread evenly over the interval from 0 to 1: the k-th of n
gets the key (k + u) / n, with one random u for each class. The examples in the order of their keys
hold the classes in their own proportions at every cut (systematic sampling), so that a part is a
stretch of that order and a sample its beginning; a sample of 10 is therefore contained in one of
20. A class of n examples has n times the fraction in a part, give or take about one.

    >>> from bertcompress.examples import TextExample
    >>> rows = [TextExample(f"t:{i}", "x", label="ab"[i % 2]) for i in range(8)]
    >>> [row.label for row in sample(rows, 4, seed=0)].count("a")
    2
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

from bertcompress.errors import UsageError
from bertcompress.examples import Example, TextExample

_E = TypeVar("_E", bound=Example)


def sample(examples: Sequence[_E], limit: int, *, seed: int) -> tuple[_E, ...]:
    """Returns `limit` of the examples (all, if there are no more), in the order they came.

    Raises:
        UsageError: The limit is less than 1.
    """
    if limit < 1:
        raise UsageError(f"limit must be 1 or more, got {limit}; leave it out to take all examples")
    chosen = sorted(_spread(examples, seed=seed)[:limit])
    return tuple(examples[position] for position in chosen)


def partition(
    examples: Sequence[_E], fractions: Mapping[str, float], *, seed: int
) -> dict[str, tuple[_E, ...]]:
    """Returns parts that share no example and together hold all, each in the order they came.

    Args:
        examples: At least one for each part.
        fractions: The size of each part, which sum to 1. The first gets what rounding leaves, the
            others at least one example.
        seed: Decides what falls into which part.

    Raises:
        UsageError: The fractions are not positive or do not sum to 1, or there are too few
            examples.
    """
    total = sum(fractions.values())
    if min(fractions.values()) <= 0 or abs(total - 1) > 1e-9:
        raise UsageError(f"fractions must be positive and sum to 1, got {dict(fractions)}")
    if len(examples) < len(fractions):
        raise UsageError(
            f"{len(fractions)} parts were asked of {len(examples)} examples; "
            "give at least one example for each part"
        )
    first, *others = fractions
    order = _spread(examples, seed=seed)
    parts: dict[str, tuple[_E, ...]] = {first: ()}
    start = 0
    for place, name in enumerate(others):
        still_needed = len(others) - place  # One for the first part and one for each after this.
        size = max(1, round(fractions[name] * len(examples)))
        size = min(size, len(order) - start - still_needed)
        parts[name] = _taken(examples, order[start : start + size])
        start += size
    parts[first] = _taken(examples, order[start:])
    return parts


def is_stratified(examples: Sequence[Example]) -> bool:
    """Says whether the examples have classes to stratify by."""
    return any(_stratum(example) is not None for example in examples)


def _taken(examples: Sequence[_E], positions: Sequence[int]) -> tuple[_E, ...]:
    return tuple(examples[position] for position in sorted(positions))


def _spread(examples: Sequence[Example], *, seed: int) -> list[int]:
    """Returns all positions, so ordered that each class is spread evenly."""
    strata: dict[str | None, list[int]] = {}
    for position, example in enumerate(examples):
        strata.setdefault(_stratum(example), []).append(position)
    keyed: list[tuple[float, int]] = []
    for name, positions in strata.items():
        # A generator for each class: what one class draws does not move the others.
        generator = random.Random(f"{seed}:{name}")
        generator.shuffle(positions)
        offset = generator.random()
        size = len(positions)
        keyed += [((rank + offset) / size, at) for rank, at in enumerate(positions)]
    return [position for _, position in sorted(keyed)]


def _stratum(example: Example) -> str | None:
    if isinstance(example, TextExample) and isinstance(example.label, str):
        return example.label
    return None
