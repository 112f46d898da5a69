"""Entity figures of whole data sets, as conlleval and seqeval count them.

An answered entity is right if its type and both ends agree with a gold one. Two readings of the
tags are scored:

- **default**, the one that decides: `TagScheme.entities`, as conlleval and seqeval's default mode,
- **strict**: only entities that the scheme's own rules allow, as seqeval's ``mode="strict"``: in
  IOB2 an ``I-`` without its ``B-`` is none, in BIOES a ``B-`` without its ``E-``.

The strict rules are written as pairs of neighbouring letters: ``B>I=`` is a B followed by an I of
the same type, ``!`` of another type, no mark of any type. An entity begins at an *open* pair, goes
on over *inside* pairs and must be left by an *end* pair.

Source: https://github.com/chakki-works/seqeval, `seqeval/scheme.py`; the tests compare with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from bertcompress.data.tag_scheme import (
    OUTSIDE,
    UNTYPED,
    Entity,
    SchemeName,
    Tags,
    TagScheme,
    count_openings,
    scheme_of,
)
from bertcompress.tasks.base import ClassScore
from bertcompress.tasks.metrics import Counts, micro

_Part = tuple[str, str]
_Rules = tuple[frozenset[str], frozenset[str], frozenset[str]]
_IOB_NAMES = ("IO", "IOB1", "IOB2")


def _rules(opens: str, inside: str, ends: str) -> _Rules:
    return frozenset(opens.split()), frozenset(inside.split()), frozenset(ends.split())


_IOBES = _rules("*>B *>S", "B>I= B>E= I>I= I>E=", "S>* E>*")
_STRICT: dict[SchemeName, _Rules] = {
    "IOB1": _rules("O>I I>I! B>I I>B= B>B=", "B>I= I>I=", "I>I! I>O I>B B>O B>I! B>B="),
    "IOB2": _rules("*>B", "B>I= I>I=", "I>O I>I! I>B B>O B>I! B>B"),
    "BIOES": _IOBES,
    "BILOU": _IOBES,  # read with BIOES' letters
    "BMES": _IOBES,
    "IOE": _rules("O>I O>E E>I E>E I>I! I>E!", "I>E= I>I=", "E>*"),
}


def gold_scheme(model: TagScheme, labels: Sequence[str], gold: Sequence[Tags]) -> TagScheme | None:
    """Returns the scheme that gold tags are in; None where none of them is part of an entity.

    Args:
        model: The scheme of the model's labels.
        labels: These labels. Where they have all the tags, the model's types are taken.
        gold: The tags of all sentences.
    """
    present = {tag for tags in gold for tag in tags}
    own = scheme_of(present)
    if present <= set(labels):
        alike = _IOB_NAMES if model.name == "IOB2" else (model.name,)
        if own is None or own.name in alike:
            return model
        own = TagScheme(own.name, model.parts, model.no_tags)
    if own is None or own.name not in ("IOB1", "IOB2"):
        return own
    with_b, with_i = count_openings(own, gold)
    return replace(own, name="IOB2" if with_b or not with_i else "IOB1")


def strict_entities(scheme: TagScheme, tags: Sequence[str]) -> tuple[Entity, ...]:
    """Returns the entities that a scheme's own rules allow; all where it has none (``IO``).

    >>> scheme = scheme_of(["B-PER", "I-PER", "I-ORG", "B-ORG"])
    >>> strict_entities(scheme, ["I-PER", "B-PER", "I-PER", "I-ORG"])
    (Entity(kind='PER', start=1, end=3),)
    """
    rules = _STRICT.get(scheme.name)
    if rules is None:
        return scheme.entities(tags)
    opens, inside, ends = rules
    parts = [*scheme.read(tags), (OUTSIDE, UNTYPED)]
    entities: list[Entity] = []
    position, last = 0, (OUTSIDE, UNTYPED)
    while position < len(parts):
        start = position
        position += 1
        if _allowed(opens, last, parts[start]):
            while position < len(parts) and _allowed(inside, parts[position - 1], parts[position]):
                position += 1
            if position < len(parts) and _allowed(ends, parts[position - 1], parts[position]):
                entities.append(Entity(parts[start][1], start, position))
        last = parts[position - 1]
    return tuple(entities)


def entity_scores(
    gold: Sequence[Iterable[Entity]], answers: Sequence[Iterable[Entity]]
) -> tuple[ClassScore, dict[str, ClassScore]]:
    """Returns the score over all entities of all sentences, and that of each type."""
    right, answered = _numbered(gold), _numbered(answers)
    kinds = sorted({entity.kind for _, entity in right | answered})
    counts = {
        kind: _counts(
            {row for row in right if row[1].kind == kind},
            {row for row in answered if row[1].kind == kind},
        )
        for kind in kinds
    }
    return micro(counts), {kind: count.score for kind, count in counts.items()}


def scheme_notes(model: TagScheme, gold: TagScheme) -> tuple[str, ...]:
    """Says how the tags of the model and of the data were read, a sentence each."""
    notes = [f"the tags of the model and of the data were read as {model.name}"]
    if gold.name != model.name:
        notes = [
            f"the model's tags were read as {model.name} and the data's as {gold.name}; entities "
            "are compared, and for the accuracy of tags the data's were written as the model's"
        ]
    if all(letter == "I" for letter, _ in model.parts.values()):
        notes.append("no tag opens an entity, so neighbouring words of one type are one entity")
    no_tags = dict.fromkeys((*model.no_tags, *gold.no_tags))
    if no_tags:
        notes.append(f"labels that are no tags were read as {OUTSIDE}: {', '.join(no_tags)}")
    return tuple(notes)


def _numbered(sentences: Sequence[Iterable[Entity]]) -> set[tuple[int, Entity]]:
    return {(number, entity) for number, row in enumerate(sentences) for entity in row}


def _counts(gold: set[tuple[int, Entity]], answered: set[tuple[int, Entity]]) -> Counts:
    return Counts(len(gold & answered), len(answered - gold), len(gold - answered))


def _allowed(pairs: frozenset[str], last: _Part, now: _Part) -> bool:
    mark = "=" if last[1] == now[1] else "!"
    letters = f"{last[0]}>{now[0]}"
    return not pairs.isdisjoint((letters, letters + mark, f"*>{now[0]}", f"{last[0]}>*"))
