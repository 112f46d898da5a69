"""Draws parts and samples of examples, in the order they came.

**Parts.** What is held out is decided by what an example says and by nothing else: a hash of its
text (`content_key`) is read as a number from 0 to 1, and a part is a stretch of that. No seed,
task, label, order or other row of the file has a say, so that a row which one step trains on no
other step judges by, and equal texts are always on one side. Parts are as large as their fractions
only about: of 1,000 examples a tenth is 100 give or take 10. Only where a part would be empty, in
small files, it takes the nearest from the largest.

**Samples** are seeded and stratified by class. Each class's examples are shuffled and spread evenly
over the interval from 0 to 1: the k-th of n gets the key (k + u) / n, with one random u for each
class. The examples in the order of their keys hold the classes in their own proportions at every
cut (systematic sampling), so that a sample is its beginning; one of 10 is therefore contained in
one of 20.

    >>> from bertcompress.examples import TextExample
    >>> rows = [TextExample(f"t:{i}", "x", label="ab"[i % 2]) for i in range(8)]
    >>> [row.label for row in sample(rows, 4, seed=0)].count("a")
    2
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar
from unicodedata import normalize

from bertcompress.errors import UsageError
from bertcompress.examples import Example, QuestionExample, TextExample, TokenExample

HELD_OUT = 10
"""Of so many texts one is held out, where no others are given to judge by."""
KEY_BYTES = 8
"""Of a content key: two of a million texts have the same once in 40 million data sets."""

_NOT_COMPARED = re.compile(r"\s+")
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


def partition(examples: Sequence[_E], fractions: Mapping[str, float]) -> dict[str, tuple[_E, ...]]:
    """Returns parts that share no text and together hold all, each in the order they came.

    Args:
        examples: With at least one text for each part.
        fractions: The size of each part, which sum to 1. The first part is what the others leave:
            they lie one after another from 0 on, so that ``validation`` is the same examples
            whether there is a ``test`` after it or not.

    Raises:
        UsageError: The fractions are not positive or do not sum to 1, or there are fewer texts
            than parts.
    """
    total = sum(fractions.values())
    if min(fractions.values()) <= 0 or abs(total - 1) > 1e-9:
        raise UsageError(f"fractions must be positive and sum to 1, got {dict(fractions)}")
    keys = [content_key(example) for example in examples]
    if len(set(keys)) < len(fractions):
        raise UsageError(
            f"{len(fractions)} parts were asked of {len(set(keys))} different examples; "
            "give at least one for each part"
        )
    part_of = _parts_of(set(keys), fractions)
    return {
        name: tuple(
            example for key, example in zip(keys, examples, strict=True) if part_of[key] == name
        )
        for name in fractions
    }


def hold_out(
    examples: Sequence[_E], *, one_in: int = HELD_OUT
) -> tuple[tuple[_E, ...], tuple[_E, ...]]:
    """Returns what is fitted to and, apart from it, what it is judged by: one text in so many.

    All passes hold out by this, so that what one judges by no other was fitted to. The number that
    decides is another than that of `partition`: of a part, too, one text in so many is held out. A
    smaller `one_in` holds out all that a larger one does. Without a second text nothing is held
    out.
    """
    keys = [content_key(example) for example in examples]
    if len(set(keys)) < 2:
        return tuple(examples), ()
    number_of = {key: content_number(key, salt="held out") for key in keys}
    held = {key for key, number in number_of.items() if number * one_in < 1}
    held = held or {min(number_of, key=number_of.__getitem__)}
    pairs = list(zip(keys, examples, strict=True))
    return (
        tuple(example for key, example in pairs if key not in held),
        tuple(example for key, example in pairs if key in held),
    )


def content_key(example: Example) -> bytes:
    """Returns 8 bytes that stand for what an example says, whatever its label, id and task.

    Case, blanks and Unicode's compatibility forms make no difference, nor does the order of a
    pair; words read as the text that they make, a question with its context as a pair.
    """
    texts = sorted(
        _NOT_COMPARED.sub("", normalize("NFKC", text)).casefold() for text in _texts(example)
    )
    joined = "\x1f".join(texts).encode("utf-8", "surrogatepass")  # JSON files may hold half emoji
    return hashlib.sha256(joined).digest()[:KEY_BYTES]


def content_number(key: bytes, *, salt: str = "") -> float:
    """Returns a number in [0, 1) that the key alone decides, another one for each salt."""
    digest = hashlib.sha256(salt.encode() + key).digest() if salt else key
    return int.from_bytes(digest[:6], "big") / 2**48


def is_stratified(examples: Sequence[Example]) -> bool:
    """Says whether the examples have classes to stratify by."""
    return any(_stratum(example) is not None for example in examples)


def _parts_of(keys: set[bytes], fractions: Mapping[str, float]) -> dict[bytes, str]:
    """Returns the part of each key; a part that none fell into takes the nearest of the largest."""
    first, *others = fractions
    starts, start = {}, 0.0
    for name in others:
        starts[name] = start
        start += fractions[name]
    part_of = {key: _part_at(content_number(key), starts, fractions) or first for key in keys}
    for name in fractions:
        if name in part_of.values():
            continue
        largest = max(fractions, key=lambda part: list(part_of.values()).count(part))
        members = sorted(key for key, part in part_of.items() if part == largest)
        place = starts.get(name, 1.0)
        nearest = min(members, key=lambda key: abs(content_number(key) - place))
        part_of[nearest] = name
    return part_of


def _part_at(
    number: float, starts: Mapping[str, float], fractions: Mapping[str, float]
) -> str | None:
    for name, start in starts.items():
        if start <= number < start + fractions[name]:
            return name
    return None


def _texts(example: Example) -> tuple[str, ...]:
    if isinstance(example, TokenExample):
        return (" ".join(example.words),)
    if isinstance(example, QuestionExample):
        return (example.question, example.context)
    return (example.text,) if example.text_pair is None else (example.text, example.text_pair)


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
