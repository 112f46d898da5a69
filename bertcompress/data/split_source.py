"""Splits: what parts a source has, and which of them is meant.

A source that is not split is ``all``. Asked for a part, it is partitioned 80/10/10 by its texts
(`bertcompress.data.partition`). A source with training data and no validation data gives a tenth of
the former as the latter, and from then on ``train`` is the other nine tenths, so that the two never
share a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bertcompress.data.partition import content_key, partition
from bertcompress.data.table import Reading
from bertcompress.errors import DataError, did_you_mean
from bertcompress.examples import Example

ALL = "all"
PARTS = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""The fractions of a source that is not split."""
TRAIN_PARTS = {"train": 0.9, "validation": 0.1}
"""The fractions of training data where validation data is missing."""

_ALIASES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "testa": "validation",
    "test": "test",
    "testb": "test",
}


@dataclass(frozen=True)
class SplitSource:
    """A source's splits by name, each read when it is asked for.

    Attributes:
        name: What the user typed, for messages.
        splits: ``all`` alone, or ``train``, ``validation``, ``test`` and others.
    """

    name: str
    splits: Mapping[str, Callable[[], Reading]]


def split_named(word: str) -> str | None:
    """Returns the split that a word stands for (``dev``: validation), or None."""
    return _ALIASES.get(word.lower())


def split_in_name(name: str) -> str | None:
    """Returns the split that the words of a file's or part's name mean, if exactly one."""
    words = re.split(r"[^A-Za-z0-9]+", name)
    meant = {split for word in words if (split := split_named(word)) is not None}
    return meant.pop() if len(meant) == 1 else None


def read_split(source: SplitSource, split: str | None) -> tuple[str, Reading]:
    """Returns the split's name and its examples; a partition that had to be made is noted.

    Args:
        source: The source.
        split: The split asked for; None means test, else validation, else train, which is whole.

    Raises:
        DataError: There is no such split and none can be made.
    """
    name = _default(source) if split is None else _canonical(source, split)
    if set(source.splits) == {ALL}:
        reading = source.splits[ALL]()
        if name == ALL:
            return name, reading
        if name in PARTS:
            return name, _part(source, reading, name, PARTS)
    elif split is not None and _lacks_validation(source) and name in TRAIN_PARTS:
        return name, _part(source, source.splits["train"](), name, TRAIN_PARTS)
    if name not in source.splits:
        found = ", ".join(source.splits)
        raise DataError(
            f"split {split!r} of {source.name} was asked, found {found}; type --split with one of "
            f"these{did_you_mean(str(split), source.splits)}"
        )
    return name, source.splits[name]()


def _canonical(source: SplitSource, split: str) -> str:
    if split in source.splits:
        return split
    return split_named(split) or split


def _default(source: SplitSource) -> str:
    names = list(source.splits)
    if names == [ALL]:
        return ALL
    for name in ("test", "validation"):
        if name in source.splits:
            return name
    if names == ["train"]:
        return "train"
    raise DataError(
        f"{source.name} has the splits {', '.join(names)}; type --split with the one you mean"
    )


def _lacks_validation(source: SplitSource) -> bool:
    named = (name.startswith("validation") for name in source.splits)
    return "train" in source.splits and not any(named)


def _part(
    source: SplitSource, reading: Reading, name: str, fractions: Mapping[str, float]
) -> Reading:
    whole = reading.examples
    if len({content_key(example) for example in whole}) < len(fractions):
        raise DataError(
            f"{source.name} has {len(whole)} examples, too few different ones to make "
            f"{', '.join(fractions)} of them; type the path of a file for each split"
        )
    parts: Mapping[str, tuple[Example, ...]] = partition(whole, fractions)
    ratio = "/".join(f"{round(100 * fraction)}" for fraction in fractions.values())
    split_before = ALL not in source.splits
    missing, what = (
        ("validation split", "its train split was")
        if split_before
        else ("splits", "the examples were")
    )
    note = (
        f"{source.name} has no {missing}: {what} partitioned {ratio} into "
        f"{'/'.join(fractions)} by their texts; "
        f"{name} is {len(parts[name]):,} of {len(whole):,}"
    )
    return Reading(parts[name], (*reading.notes, note))
