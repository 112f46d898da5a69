"""Tag schemes of named entities: which one a set of tags is in, and the entities that tags mean.

A tag is a letter and a type (``B-PER``), or ``O`` outside of all entities.

    words   U.N.   official  Ekeus   heads  for    New    York
    IOB1    I-ORG  O         I-PER   O      O      I-LOC  I-LOC   B- only after one of its own type
    IOB2    B-ORG  O         B-PER   O      O      B-LOC  I-LOC   each opens with B-
    BIOES   S-ORG  O         S-PER   O      O      B-LOC  E-LOC   E- ends, S- stands alone
    BILOU   U-ORG  O         U-PER   O      O      B-LOC  L-LOC   the same with other letters
    IO      ORG    O         PER     O      O      LOC    LOC     neighbours of one type are one

BMES (``M-`` inside) and IOE (``E-`` ends) are known too, types before letters (``PER-B``), and
letters without a type. Entities are read as conlleval and seqeval's default mode read them: one
opens where a tag says so or where the type changes, so an ``I-`` without its ``B-`` opens one too.
That reading is the same for all schemes; seqeval does not know L, U, M and W, which stand for E, S,
I and S here. Labels such as ``X``, ``[CLS]`` and ``O-`` are no tags and read as ``O``.

Sources: Tjong Kim Sang and Veenstra, "Representing Text Chunks", EACL 1999;
Tjong Kim Sang's conlleval.pl; https://github.com/chakki-works/seqeval, `get_entities`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

SchemeName = Literal["IOB1", "IOB2", "BIOES", "BILOU", "BMES", "IOE", "IO"]
Tags = tuple[str, ...]

OUTSIDE = "O"
UNTYPED = "_"
"""The type of an entity whose tags have a letter only, as seqeval calls it."""

_LETTERS = "BIESLUMW"
_AS_READ = {"L": "E", "U": "S", "M": "I", "W": "S"}
_PREFIXED = re.compile(rf"(?P<letter>[{_LETTERS}])[-_](?P<kind>.+)")
_SUFFIXED = re.compile(rf"(?P<kind>.+)[-_](?P<letter>[{_LETTERS}])")
_NO_TAG = re.compile(r"O[-_].*|\[.+\]|<.+>|.")
_OPENS_AFTER = {("E", "E"), ("E", "I"), ("S", "E"), ("S", "I"), ("O", "E"), ("O", "I")}
_ENDS_BEFORE = {(last, now) for last in "BI" for now in "BSO"}


@dataclass(frozen=True, order=True)
class Entity:
    """A type with its first word and the word after its last."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class TagScheme:
    """A set of tags that mean entities.

    Attributes:
        name: What it is called.
        parts: The letter and the type of each tag that can be part of an entity; for the scheme
            ``IO`` without letters, all letters are ``I``.
        no_tags: The labels that are neither such a tag nor ``O``.
    """

    name: SchemeName
    parts: Mapping[str, tuple[str, str]]
    no_tags: Tags = ()

    @property
    def kinds(self) -> frozenset[str]:
        """The types of the entities."""
        return frozenset(kind for _, kind in self.parts.values())

    def read(self, tags: Sequence[str]) -> list[tuple[str, str]]:
        """Returns each tag's letter, of B, I, E, S and O, and its type."""
        known = [self.parts.get(tag, (OUTSIDE, UNTYPED)) for tag in tags]
        return [(_AS_READ.get(letter, letter), kind) for letter, kind in known]

    def entities(self, tags: Sequence[str]) -> tuple[Entity, ...]:
        """Returns the entities that one sentence's tags mean, in order, as conlleval reads them.

        >>> scheme = scheme_of(["O", "B-PER", "I-PER", "I-ORG"])
        >>> [(one.kind, one.start, one.end) for one in scheme.entities(["I-PER", "I-PER", "I-ORG"])]
        [('PER', 0, 2), ('ORG', 2, 3)]
        """
        entities: list[Entity] = []
        last, last_kind, start = OUTSIDE, UNTYPED, 0
        for position, (now, kind) in enumerate([*self.read(tags), (OUTSIDE, UNTYPED)]):
            changes = kind != last_kind
            ends = last in "ES" or (last, now) in _ENDS_BEFORE or (last != OUTSIDE and changes)
            if ends:
                entities.append(Entity(last_kind, start, position))
            if now in "BS" or (last, now) in _OPENS_AFTER or (now != OUTSIDE and changes):
                start = position
            last, last_kind = now, kind
        return tuple(entities)

    def written(self, entities: Iterable[Entity], length: int) -> Tags:
        """Returns the tags of one sentence with these entities, which must not overlap.

        Where the scheme has no tag of a letter (an IOB1 model without ``B-PER``), the nearest one
        of the type is taken.
        """
        tags = [OUTSIDE] * length
        previous: Entity | None = None
        for entity in sorted(entities, key=lambda one: one.start):
            touches = previous is not None and (previous.kind, previous.end) == (
                entity.kind,
                entity.start,
            )
            letters = _letters(self.name, entity.end - entity.start, touches=touches)
            for position, letter in enumerate(letters, start=entity.start):
                tags[position] = self._tag(letter, entity.kind)
            previous = entity
        return tuple(tags)

    def _tag(self, letter: str, kind: str) -> str:
        nearest = [(near, kind) for near in (letter, *"IBMESLUW") if (near, kind) in self._tag_of]
        return self._tag_of[nearest[0]]

    @cached_property
    def _tag_of(self) -> Mapping[tuple[str, str], str]:
        return {part: tag for tag, part in self.parts.items()}


def scheme_of(labels: Iterable[str]) -> TagScheme | None:
    """Returns the scheme that a whole set of labels is in; None where they are no entity tags.

    IOB1 and IOB2 have the same letters; the set is called IOB1 if a type has only ``I-`` while
    another has ``B-``. Labels without letters are entity types if ``O`` is among them, and else
    parts of speech or the like.

    >>> scheme_of(["O", "B-LOC", "I-LOC", "I-PER"]).name, scheme_of(["NN", "VB"])
    ('IOB1', None)
    """
    labels = dict.fromkeys(labels)
    letters = [label for label in labels if label in tuple(_LETTERS)]
    named = [label for label in labels if label not in letters and not _NO_TAG.fullmatch(label)]
    parts = _parts(named)
    single = {label for label in labels if len(label) == 1} - {OUTSIDE, "X"}
    if parts or (not named and {"B", "I"} & single and single <= set(_LETTERS)):
        parts.update({letter: (letter, UNTYPED) for letter in letters})
    elif OUTSIDE not in labels or not named:
        return None
    name: SchemeName = _name(parts) if parts else "IO"
    kinds = {kind for _, kind in parts.values()}
    for label in named:
        if label not in parts:
            parts[label] = ("I", f"{label} (no letter)" if label in kinds else label)
    no_tags = tuple(label for label in labels if label not in parts and label != OUTSIDE)
    return TagScheme(name, parts, no_tags)


def count_openings(scheme: TagScheme, sentences: Iterable[Sequence[str]]) -> tuple[int, int]:
    """Returns how many entities of IOB tags open with ``B-``, and how many with ``I-``.

    Only those after no tag of the same type are counted: in IOB1 they never open with ``B-``, in
    IOB2 never with ``I-``.
    """
    with_b = with_i = 0
    for tags in sentences:
        last_kind = None
        for letter, kind in scheme.read(tags):
            kind_here = None if letter == OUTSIDE else kind
            if kind_here is not None and kind_here != last_kind:
                with_b += letter == "B"
                with_i += letter == "I"
            last_kind = kind_here
    return with_b, with_i


def sentences_to_iob2(sentences: Sequence[Tags]) -> tuple[list[Tags], Tags]:
    """Returns all sentences, in IOB2 where they were IOB1, and a note on what was changed.

    Other schemes stay as they are, and so do IOB2 tags of which some entities open with ``I-``.
    """
    scheme = scheme_of(tag for tags in sentences for tag in tags)
    if scheme is None or not {letter for letter, _ in scheme.parts.values()} <= set("BI"):
        return list(sentences), ()
    if any(not _PREFIXED.fullmatch(tag) for tag in scheme.parts):
        return list(sentences), ()
    with_b, with_i = count_openings(scheme, sentences)
    if not with_i:
        return list(sentences), ()
    if with_b:
        return list(sentences), (
            f"{with_b:,} entities open with B- and {with_i:,} with I-, as neither IOB1 nor IOB2 "
            "has it; the tags are kept, and the strict score passes the latter over",
        )
    converted = [_opened_with_b(scheme, tags) for tags in sentences]
    total = sum(len(tags) for tags in sentences)
    note = (
        f"the tags are IOB1 (entities open with I-); {with_i:,} of {total:,} were changed from I- "
        "to B- to make them IOB2"
    )
    return converted, (note,)


def _opened_with_b(scheme: TagScheme, tags: Tags) -> Tags:
    opened = list(tags)
    for entity in scheme.entities(tags):
        first = tags[entity.start]
        opened[entity.start] = f"B{first[1:]}"
    return tuple(opened)


def _parts(named: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Returns letter and type of the labels that have both; none where it is by chance."""
    prefixed = _matches(_PREFIXED, named)
    letters = {letter for letter, _ in prefixed.values()}
    if letters & {"B", "I"} or (len(prefixed) == len(named) and letters & {"S", "U"}):
        return prefixed
    suffixed = _matches(_SUFFIXED, named)
    if len(suffixed) == len(named) and {letter for letter, _ in suffixed.values()} & {"B", "I"}:
        return suffixed
    return {}


def _matches(pattern: re.Pattern[str], named: Sequence[str]) -> dict[str, tuple[str, str]]:
    matches = {label: pattern.fullmatch(label) for label in named}
    return {
        label: (match["letter"], match["kind"])
        for label, match in matches.items()
        if match is not None
    }


def _name(parts: Mapping[str, tuple[str, str]]) -> SchemeName:
    letters = {letter for letter, _ in parts.values()}
    if letters & {"M", "W"}:
        return "BMES"
    if letters & {"L", "U"}:
        return "BILOU"
    if "S" in letters or {"B", "E"} <= letters:
        return "BIOES"
    if "E" in letters:
        return "IOE"
    if "B" not in letters:
        return "IO"
    opened = {kind for letter, kind in parts.values() if letter == "B"}
    inside = {kind for letter, kind in parts.values() if letter == "I"}
    return "IOB2" if inside <= opened else "IOB1"


def _letters(name: SchemeName, length: int, *, touches: bool) -> str:
    """Returns the letters of an entity's words; `touches` says that it follows one of its type."""
    if name == "IO":
        return "I" * length
    if name == "IOE":
        return "I" * (length - 1) + "E"
    if name == "IOB1" and not touches:
        return "I" * length
    if name in ("IOB1", "IOB2"):
        return "B" + "I" * (length - 1)
    marks = {"BIOES": "IES", "BILOU": "ILU", "BMES": "MES"}[name]
    return marks[2] if length == 1 else "B" + marks[0] * (length - 2) + marks[1]
