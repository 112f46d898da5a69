"""Optimization profiles from the lengths of real texts.

TensorRT picks kernels for a range of shapes, the *profile*, by timing them at one shape in it,
``opt``. One wide profile is slow at its ends, so there is one for each *length bucket*, and each
is timed at the length that is most frequent in it:

    latency       batch 1                x buckets of lengths
    throughput    few ranges of batches  x buckets of lengths
    packed        few ranges of batches, of all lengths: without padding a bucket gains nothing

The buckets' ceilings are 16, 32, 64, 128, 256, 512. A bucket begins where the one before it ends;
one that no text falls into is joined with the next, and buckets past the longest text are left
out, so profiles cover every length from 1 to the last ceiling without a gap and without overlap.

>>> for one in engine_profiles([5, 9, 9, 21], goal="latency"):
...     print(one.least, one.opt, one.most)
(1, 1) (1, 9) (1, 16)
(1, 17) (1, 21) (1, 32)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from bertcompress.artifacts.engine_record import PACKED, Profile
from bertcompress.errors import UsageError

Goal = Literal["latency", "throughput", "packed"]
GOALS: tuple[Goal, ...] = ("latency", "throughput", "packed")
LENGTHS = (16, 32, 64, 128, 256, 512)
BATCHES = (8, 32, 128)
"""The ceilings of the ranges of batches, unless it is for latency."""


def engine_profiles(
    lengths: Sequence[int],
    *,
    goal: Goal,
    ceilings: Sequence[int] = (),
    batches: Sequence[int] = (),
    longest: int | None = None,
) -> tuple[Profile, ...]:
    """Returns the profiles of an engine, a function of how often each length occurs alone.

    Args:
        lengths: Of the texts, tokens; none if `ceilings` are given.
        goal: What the engine is for.
        ceilings: The longest text of each bucket, ascending; `LENGTHS` up to the longest text if
            empty.
        batches: The largest batch of each range, ascending; ``(1,)`` for latency and else
            `BATCHES` if empty.
        longest: The longest text that the model takes, tokens: no profile goes beyond.

    Returns:
        Ordered by batch and length. Where no text falls into a bucket that was asked for, it is
        timed at its ceiling; of two lengths that are equally frequent the longer one is taken.

    Raises:
        UsageError: If nothing is known of lengths, or a text is longer than the last ceiling.
    """
    if not lengths and not ceilings:
        raise UsageError(
            "an engine is made for the lengths of your texts; add --data, or say them: "
            "--lengths 16,32,64,128"
        )
    edges = _edges(lengths, ceilings, longest)
    if goal == PACKED and not ceilings:
        edges = [(1, edges[-1][1])]
    ranges = _ranges(tuple(batches) or ((1,) if goal == "latency" else BATCHES), "batches")
    counts = Counter(lengths)
    profiles = []
    for low_batch, batch in ranges:
        for low, high in edges:
            opt = _mode(counts, low, high)
            profiles.append(Profile((low_batch, low), (batch, opt), (batch, high)))
    return tuple(profiles)


def _edges(
    lengths: Sequence[int], ceilings: Sequence[int], longest: int | None
) -> list[tuple[int, int]]:
    """Returns first and last length of each bucket."""
    top = max(lengths, default=0)
    if ceilings:
        edges = _ranges(ceilings, "lengths")
        beyond = sum(length > edges[-1][1] for length in lengths)
        if beyond:
            raise UsageError(
                f"lengths end at {edges[-1][1]} tokens, and {beyond} of {len(lengths)} texts are "
                f"longer, up to {top}; add a length of {top} or more"
            )
        if longest is not None and edges[-1][1] > longest:
            raise UsageError(f"lengths must be up to the model's {longest}, got {edges[-1][1]}")
        return edges
    steps = [length for length in LENGTHS if longest is None or length < longest]
    last = top if longest is None else longest
    steps = [*steps, max(last, top)] if not steps or steps[-1] < top else steps
    edges, low = [], 1
    for high in steps:
        if any(low <= length <= high for length in lengths):
            edges.append((low, high))
            low = high + 1
        if high >= top:
            break
    return edges


def _ranges(ceilings: Sequence[int], name: str) -> list[tuple[int, int]]:
    """Returns first and last of each range that ends at a ceiling.

    >>> _ranges((8, 32), "batches")
    [(1, 8), (9, 32)]
    """
    if list(ceilings) != sorted(set(ceilings)) or min(ceilings) < 1:
        shown = ",".join(str(ceiling) for ceiling in ceilings)
        raise UsageError(f"{name} must be 1 or more and ascending, got {shown}")
    return [(before + 1, last) for before, last in zip((0, *ceilings), ceilings, strict=False)]


def _mode(counts: Counter[int], low: int, high: int) -> int:
    inside = [(count, length) for length, count in counts.items() if low <= length <= high]
    return max(inside)[1] if inside else high
