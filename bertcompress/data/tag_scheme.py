"""Tag schemes for named entities: IOB1 is found and turned into IOB2.

In IOB2 each entity opens with ``B-``. In IOB1, which the CoNLL-2003 files use, an entity opens with
``I-``; ``B-`` marks only one that follows another of its own type without a word between them.

    words   U.N.   official  Ekeus   heads
    IOB1    I-ORG  O         I-PER   O
    IOB2    B-ORG  O         B-PER   O

Source: Tjong Kim Sang and Veenstra, "Representing Text Chunks", EACL 1999.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_IOB_PREFIXES = ("B-", "I-")


def is_iob(tags: Iterable[str]) -> bool:
    """Says whether all tags are ``O``, ``B-X`` or ``I-X`` (so not BIOES, not parts of speech)."""
    return all(tag == "O" or tag.startswith(_IOB_PREFIXES) for tag in tags)


def to_iob2(tags: Sequence[str]) -> tuple[str, ...]:
    """Returns the tags with ``B-`` at the opening of each entity.

    >>> to_iob2(["I-ORG", "I-ORG", "B-ORG", "O", "I-PER", "I-LOC"])
    ('B-ORG', 'I-ORG', 'B-ORG', 'O', 'B-PER', 'B-LOC')
    """
    converted: list[str] = []
    previous = "O"
    for tag in tags:
        opens = tag.startswith("I-") and previous[2:] != tag[2:]
        converted.append(f"B-{tag[2:]}" if opens else tag)
        previous = tag
    return tuple(converted)


def sentences_to_iob2(
    sentences: Sequence[tuple[str, ...]],
) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Returns all sentences in IOB2 and a note on what was changed; other schemes stay as is."""
    if not is_iob({tag for tags in sentences for tag in tags}):
        return list(sentences), ()
    converted = [to_iob2(tags) for tags in sentences]
    changed = sum(
        before != after
        for old, new in zip(sentences, converted, strict=True)
        for before, after in zip(old, new, strict=True)
    )
    if not changed:
        return converted, ()
    total = sum(len(tags) for tags in sentences)
    note = (
        f"the tags are IOB1 (entities open with I-); {changed:,} of {total:,} were changed from I- "
        "to B- to make them IOB2"
    )
    return converted, (note,)
